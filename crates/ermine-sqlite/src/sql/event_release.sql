-- event_release: an event that does not wait any more.
-- ?1 shard, ?2 kind, ?3 tenant and ?4 id of the key, ?5 seq
delete from parked_events where shard = ?1 and key_kind = ?2 and key_tenant = ?3 and key_id = ?4 and seq = ?5
