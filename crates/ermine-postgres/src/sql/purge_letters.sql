-- purge_letters: forgets letters that were replayed before a moment; one that was discarded still says why its
-- event is not applied. The rows are locked in the order in which commits lock them.
-- $1 moment timestamptz
with chosen as materialized (
  select shard, seq, key_kind, key_tenant, key_id
  from {schema}.dead_letters
  where status = 'replayed' and settled_at < $1
  order by shard, seq, key_kind, key_tenant, key_id
  for update
)
delete from {schema}.dead_letters d
using chosen c
where d.shard = c.shard and d.seq = c.seq and d.key_kind = c.key_kind and d.key_tenant = c.key_tenant and d.key_id = c.key_id
