-- stream_state: how many events a stream has, what has ended it and of what type it is.
-- ?1 tenant, ?2 stream
select version, archived, stream_type from streams where tenant = ?1 and stream_id = ?2
