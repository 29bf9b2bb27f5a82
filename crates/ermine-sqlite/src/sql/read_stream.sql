-- read_stream: the events of one stream after a version.
-- ?1 tenant, ?2 stream, ?3 after, ?4 limit
select seq, version, recorded_at, id, tenant, stream_id, type, correlation, causation, headers, data
from events where tenant = ?1 and stream_id = ?2 and version > ?3 order by version limit ?4
