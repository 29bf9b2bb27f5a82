-- append_event: one event of a batch; the table draws its number.
-- ?1 version, ?2 recorded_at, ?3 latest, ?4 id, ?5 tenant, ?6 stream, ?7 type, ?8 correlation, ?9 causation, ?10 headers,
-- ?11 data
insert into events
  (version, recorded_at, latest, id, tenant, stream_id, type, correlation, causation, headers, data)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
