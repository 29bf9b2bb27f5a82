-- parked_keys: behind what events of a shard wait, and how many.
-- $1 shard text
select key_kind, key_tenant, key_id, count(*) from {schema}.parked_events where shard = $1
group by key_kind, key_tenant, key_id order by key_kind, key_tenant, key_id
