-- letters: the letters that match, in the order of their ids.
-- {condition}: what they must be; {limit}: the parameter that says how many at most bigint (null: all)
select shard, seq, key_kind, key_tenant, key_id, tenant, stream_id, version, type, body, error, class, attempts, first_at, last_at,
  status, by, reason, settled_at
from {schema}.dead_letters
where {condition}
order by shard, seq, key_kind, key_tenant, key_id
limit {limit}
