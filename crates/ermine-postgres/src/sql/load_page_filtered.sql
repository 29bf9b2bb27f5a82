-- load_page_filtered: the next events of the wanted types; those of types that nobody knows come without their bodies.
-- $1 floor bigint, $2 ceiling bigint, $3 events bigint, $4 incarnation uuid, $5 wanted text[], $6 known text[]
select e.seq, e.version, e.recorded_at, e.id, e.tenant, e.stream_id, e.type,
  case when e.type = any($5) then e.data end as data, e.correlation, e.causation, e.headers, e.skipped
from {schema}.incarnation i
left join lateral (
  select * from {schema}.events x
  where x.seq > $1 and x.seq <= $2 and (x.type = any($5) or not (x.type = any($6)))
    and i.only_row
  order by x.seq limit $3
) e on true
where i.token = $4
