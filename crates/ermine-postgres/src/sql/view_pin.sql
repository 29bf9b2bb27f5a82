-- view_pin: locks the views that an append has read, and refuses one whose version is another by now.
-- $1 tenants text[], $2 ids text[], $3 versions bigint[] (null: there must be none), in the one order of locks
select {schema}.refuse_view({table_literal}, {version_literal}, u.tenant, u.id)
from unnest($1, $2, $3) as u(tenant, id, expected)
left join lateral (
  select x.{version} as version from {schema}.{table} x where x.tenant = u.tenant and x.id = u.id limit 1
  for no key update
) v on true
where v.version is distinct from u.expected
