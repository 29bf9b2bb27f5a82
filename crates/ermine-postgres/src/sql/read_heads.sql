-- read_heads: how far streams have come, in the order of the request, and the clock.
-- $1 tenants text[], $2 streams text[]
select coalesce(array_agg(coalesce(s.version, 0) order by u.place), '{}') as versions, clock_timestamp() as at
from unnest($1, $2) with ordinality as u(tenant, stream, place)
left join lateral (
  select x.version from {schema}.streams x where x.tenant = u.tenant and x.stream_id = u.stream limit 1
) s on true
