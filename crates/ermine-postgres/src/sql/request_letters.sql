-- request_letters: says what is to become of the letters that match and are not settled, and rings, whether a bell is armed or
-- not: nobody asks often. The rows are locked in the order in which commits lock them.
-- {condition}: what they must be; {open}: the statuses of those that are not settled; parameters: {status} text, {by} text,
-- {reason} text (null: none)
with chosen as materialized (
  select shard, seq, key_kind, key_tenant, key_id
  from {schema}.dead_letters
  where {condition} and status in ({open})
  order by shard, seq, key_kind, key_tenant, key_id
  for no key update
), marked as (
  update {schema}.dead_letters d
  set status = {status}, by = {by}, reason = {reason}, settled_at = null
  from chosen c
  where d.shard = c.shard and d.seq = c.seq and d.key_kind = c.key_kind and d.key_tenant = c.key_tenant and d.key_id = c.key_id
  returning 1
), counted as (
  select count(*) as letters from marked
)
select c.letters, pg_notify('ermine_' || s.lock_class, '') from counted c cross join {schema}.store s
