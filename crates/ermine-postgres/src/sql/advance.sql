-- advance: moves progress or raises.
-- $1 shard text, $2 from bigint, $3 to bigint, $4 epoch bigint, $5 incarnation uuid, $6 unknown events bigint,
-- $7 skipped events bigint, $8 members text[] (null: none)
select {schema}.advance($1, $2, $3, $4, $5, $6, $7, $8)
