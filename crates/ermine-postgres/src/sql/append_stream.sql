-- append_stream: one stream without metadata; the frequent case.
-- $1 tenant text, $2 stream text, $3 expected bigint (null: any), $4 ids uuid[], $5 types text[], $6 bodies json[],
-- $7 type of the stream text (null: none)
select last_seq, version, recorded_at from {schema}.append_stream($1, $2, $3, $4, $5, $6, $7)
