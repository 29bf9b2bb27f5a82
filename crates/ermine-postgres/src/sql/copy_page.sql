-- copy_page: load_page for large pages. COPY takes no parameters: the braces are filled with numbers and a UUID.
copy (
  select e.seq, e.version, e.recorded_at, e.id, e.tenant, e.stream_id, e.type, e.data, e.correlation, e.causation, e.headers,
    e.skipped
  from {schema}.incarnation i
  left join lateral (
    select * from {schema}.events x where x.seq > {floor} and x.seq <= {ceiling} and i.only_row order by x.seq limit {limit}
  ) e on true
  where i.token = '{incarnation}'
) to stdout (format binary)
