-- event_by_id: where and when the event of an id was recorded, if it was.
-- ?1 id
select seq, tenant, stream_id, version, recorded_at from events where id = ?1
