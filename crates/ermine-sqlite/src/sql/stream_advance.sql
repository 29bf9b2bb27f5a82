-- stream_advance: how many events a stream has from now on; its type is that of its first append.
-- ?1 tenant, ?2 stream, ?3 version, ?4 type
insert into streams (tenant, stream_id, version, stream_type) values (?1, ?2, ?3, ?4)
on conflict (tenant, stream_id) do update set version = excluded.version
