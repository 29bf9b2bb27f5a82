-- letters_read: letters in their order. {conditions} says which, and {index} where to look.
-- What the conditions bind, then the limit.
select shard, seq, key_kind, key_tenant, key_id, tenant, stream_id, version, type, class, error, attempts, first_at, last_at,
  status, "by", reason, settled_at, body
from dead_letters{index} where {conditions} order by shard, seq, key_kind, key_tenant, key_id limit ?{limit}
