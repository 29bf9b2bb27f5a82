-- append_next_view: appends to one stream and puts one view in place of what the append has read. Each step takes the
-- answer of the one before it, and so has to wait for it. The update looks once more at a row that somebody has changed
-- since the snapshot of the statement.
-- $1 to $11 as for append_new_view; $12 version that the view must have bigint, $13 document that it must be jsonb (null:
-- any); {next_view}: the rest, an array of one per column
with opened as materialized (
  select {schema}.open_append($1, $2, $3, cardinality($4), $7, null) as version
), written as (
  update {schema}.{table} v
  set ({version}, {seq}, {updated_at}{names}) = row($10, $11, now(){next_view})
  from opened o
  where v.tenant = $8 and v.id = $9 and v.{version} = $12 and ($13 is null or ({body})::jsonb = $13) and o.version > 0
  returning 1
)
select
  {schema}.close_append(
    (select count(*) from written), {table_literal}, {version_literal}, $8, $9, $1, $2, o.version, $4, $5, $6) as last_seq,
  o.version, transaction_timestamp() as recorded_at
from opened o
