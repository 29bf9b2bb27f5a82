-- view_load: the views of some keys, each with the place of its key (sorting here would move the documents about).
-- Lateral with a limit: one look into the index per key, whatever the planner thinks of a table that it may never have
-- analysed.
-- $1 tenants text[], $2 ids text[]
select v.data, v.version, v.seq, u.place
from unnest($1, $2) with ordinality as u(tenant, id, place)
cross join lateral (
  select x.data, x.version, x.seq from {schema}.{table} x where x.tenant = u.tenant and x.id = u.id limit 1
) v
