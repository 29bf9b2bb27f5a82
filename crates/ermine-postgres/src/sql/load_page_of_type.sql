-- load_page_of_type: load_page_filtered for streams of one type; events of types that nobody knows come from all streams.
-- $1 floor bigint, $2 ceiling bigint, $3 events bigint, $4 incarnation uuid, $5 wanted text[], $6 known text[],
-- $7 type of streams text
select e.seq, e.version, e.recorded_at, e.id, e.tenant, e.stream_id, e.type,
  case when e.type = any($5) then e.data end as data, e.correlation, e.causation, e.headers, e.skipped
from {schema}.incarnation i
left join lateral (
  select * from {schema}.events x
  where x.seq > $1 and x.seq <= $2 and i.only_row and case
      when x.type = any($5) then (
        select s.type = $7 from {schema}.streams s where s.tenant = x.tenant and s.stream_id = x.stream_id)
      else not (x.type = any($6)) end
  order by x.seq limit $3
) e on true
where i.token = $4
