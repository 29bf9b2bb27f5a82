-- read_events: events by their numbers, skipped or not.
-- $1 seqs bigint[]
select seq, version, recorded_at, id, tenant, stream_id, type, data, correlation, causation, headers, skipped
from {schema}.events where seq = any($1) order by seq
