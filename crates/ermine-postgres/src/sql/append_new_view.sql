-- append_new_view: appends to one stream and puts one view where the append has read that there is none. Each step takes
-- the answer of the one before it, and so has to wait for it. The insert sees a view that is there by now whatever the
-- snapshot of the statement, and the functions have snapshots of their own.
-- $1 tenant text, $2 stream text, $3 expected bigint, $4 ids uuid[], $5 types text[], $6 bodies json[], $7 type of the
-- stream text, all as for append_stream; $8 tenant and $9 id of the view text, $10 version and $11 seq of it bigint;
-- {new_view}: the rest, an array of one per column
with opened as materialized (
  select {schema}.open_append($1, $2, $3, cardinality($4), $7, {schema}.absent_key({table_literal}, $8, $9)) as version
), written as (
  insert into {schema}.{table} (tenant, id, {version}, {seq}{names})
  select $8, $9, $10, $11{new_view} from opened o where o.version > 0
  on conflict (tenant, id) do nothing
  returning 1
)
select
  {schema}.close_append(
    (select count(*) from written), {table_literal}, {version_literal}, $8, $9, $1, $2, o.version, $4, $5, $6) as last_seq,
  o.version, transaction_timestamp() as recorded_at
from opened o
