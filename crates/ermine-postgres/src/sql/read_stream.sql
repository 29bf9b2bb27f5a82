-- read_stream: the events of one stream after a version.
-- $1 tenant text, $2 stream text, $3 after bigint, $4 limit bigint
select seq, version, recorded_at, id, tenant, stream_id, type, data, correlation, causation, headers, skipped
from {schema}.events
where tenant = $1 and stream_id = $2 and version > $3
order by version
limit $4
