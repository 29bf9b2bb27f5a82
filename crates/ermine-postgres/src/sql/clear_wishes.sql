-- clear_wishes: undoes what is wanted of shards, and rings, whether a bell is armed or not. The rows are locked in one order.
-- $1 shards text[]
with chosen as materialized (
  select shard from {schema}.wishes where shard = any($1) order by shard for update
), gone as (
  delete from {schema}.wishes w using chosen c where w.shard = c.shard returning 1
), counted as (
  select count(*) as wishes from gone
)
select c.wishes, pg_notify('ermine_' || s.lock_class, '') from counted c cross join {schema}.store s
