-- put_wish: stores what is wanted of a shard in place of what was wanted before, and rings, whether a bell is armed or not.
-- $1 shard text, $2 by text, $3 reason text, $4 since timestamptz, $5 until timestamptz (null: until it is undone)
with put as (
  insert into {schema}.wishes (shard, by, reason, since, until) values ($1, $2, $3, $4, $5)
  on conflict (shard) do update
  set by = excluded.by, reason = excluded.reason, since = excluded.since, until = excluded.until
)
select pg_notify('ermine_' || s.lock_class, '') from {schema}.store s
