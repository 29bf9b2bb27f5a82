-- event_park: an event that waits from now on.
-- ?1 shard, ?2 kind, ?3 tenant and ?4 id of the key, ?5 seq
insert into parked_events (shard, key_kind, key_tenant, key_id, seq) values (?1, ?2, ?3, ?4, ?5) on conflict do nothing
