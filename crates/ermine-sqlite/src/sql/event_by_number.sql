-- event_by_number: one event, whether it is marked as skipped or not.
-- ?1 number
select seq, version, recorded_at, id, tenant, stream_id, type, correlation, causation, headers, data
from events where seq = ?1
