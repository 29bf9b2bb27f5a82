-- stream_archive: remembers the event that has ended a stream.
-- ?1 tenant, ?2 stream, ?3 number
update streams set archived = ?3 where tenant = ?1 and stream_id = ?2
