-- copy_page_of_type: load_page_of_type for large pages; {wanted}, {known} and {stream_type} are filled with quoted names.
copy (
  select e.seq, e.version, e.recorded_at, e.id, e.tenant, e.stream_id, e.type,
    case when e.type = any({wanted}) then e.data end as data, e.correlation, e.causation, e.headers, e.skipped
  from {schema}.incarnation i
  left join lateral (
    select * from {schema}.events x
    where x.seq > {floor} and x.seq <= {ceiling} and i.only_row and case
        when x.type = any({wanted}) then (
          select s.type = {stream_type} from {schema}.streams s where s.tenant = x.tenant and s.stream_id = x.stream_id)
        else not (x.type = any({known})) end
    order by x.seq limit {limit}
  ) e on true
  where i.token = '{incarnation}'
) to stdout (format binary)
