-- copy_page_filtered: load_page_filtered for large pages; {wanted} and {known} are filled with quoted type names.
copy (
  select e.seq, e.version, e.recorded_at, e.id, e.tenant, e.stream_id, e.type,
    case when e.type = any({wanted}) then e.data end as data, e.correlation, e.causation, e.headers, e.skipped
  from {schema}.incarnation i
  left join lateral (
    select * from {schema}.events x
    where x.seq > {floor} and x.seq <= {ceiling} and (x.type = any({wanted}) or not (x.type = any({known})))
      and i.only_row
    order by x.seq limit {limit}
  ) e on true
  where i.token = '{incarnation}'
) to stdout (format binary)
