-- view_load: the views of some keys, each with the place of its key (sorting here would move the documents about).
-- Lateral with a limit: one look into the index per key, whatever the planner thinks of a table that it may never have
-- analysed.
-- $1 tenants text[], $2 ids text[]
select w.data, w.version, w.seq, u.place
from unnest($1, $2) with ordinality as u(tenant, id, place)
cross join lateral (
  select {body} as data, v.{version} as version, v.{seq} as seq
  from {schema}.{table} v where v.tenant = u.tenant and v.id = u.id limit 1
) w
