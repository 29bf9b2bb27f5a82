-- parked_events: the first events that wait behind a key, after a number.
-- ?1 shard, ?2 kind, ?3 tenant and ?4 id of the key, ?5 number, ?6 limit
select seq from parked_events
where shard = ?1 and key_kind = ?2 and key_tenant = ?3 and key_id = ?4 and seq > ?5 order by seq limit ?6
