-- read_head: read_heads for one stream; the frequent case.
-- $1 tenant text, $2 stream text
select
  coalesce((select s.version from {schema}.streams s where s.tenant = $1 and s.stream_id = $2), 0) as version,
  clock_timestamp() as at
