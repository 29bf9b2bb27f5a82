-- view_pin: locks the views that an append has read, and refuses one whose version is another by now, or whose document is
-- where that was pinned as well. One that is not there has been locked by lock_absent.
-- $1 tenants text[], $2 ids text[], $3 versions bigint[] (null: there must be none), $4 documents jsonb[] (null: any), in
-- the one order of locks
select {schema}.refuse_view({table_literal}, {version_literal}, u.tenant, u.id)
from unnest($1, $2, $3, $4) as u(tenant, id, expected, body)
left join lateral (
  select v.{version} as version, ({body})::jsonb as body
  from {schema}.{table} v where v.tenant = u.tenant and v.id = u.id limit 1
  for no key update
) w on true
where w.version is distinct from u.expected or (u.body is not null and w.body is distinct from u.body)
