-- load_page: the next events of the log, all types. No row at all means another incarnation; one row of nulls, no event.
-- The one row of incarnation is the outer side of a nested loop, so the order of the inner side is that of the answer (the
-- reader checks it); asking for it again would sort the whole page, and without `i.only_row`, which is always true, the
-- inner side would be materialized.
-- $1 floor bigint, $2 ceiling bigint, $3 events bigint, $4 incarnation uuid
select e.seq, e.version, e.recorded_at, e.id, e.tenant, e.stream_id, e.type, e.data, e.correlation, e.causation, e.headers,
  e.skipped
from {schema}.incarnation i
left join lateral (
  select * from {schema}.events x where x.seq > $1 and x.seq <= $2 and i.only_row order by x.seq limit $3
) e on true
where i.token = $4
