-- parked_events: the first events that wait behind a key.
-- $1 shard text, $2 kind, $3 tenant and $4 id of the key text, $5 after seq bigint, $6 limit bigint
select seq from {schema}.parked_events
where shard = $1 and key_kind = $2 and key_tenant = $3 and key_id = $4 and seq > $5
order by seq limit $6
