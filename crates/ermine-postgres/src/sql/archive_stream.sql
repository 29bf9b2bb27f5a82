-- archive_stream: ends a stream; a row of nulls when it has no events.
-- $1 tenant text, $2 stream text, $3 id of the last event uuid
select last_seq, version, recorded_at, repeated from {schema}.archive_stream($1, $2, $3)
