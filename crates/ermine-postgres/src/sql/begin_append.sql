-- begin_append: locks and checks the streams of an append that changes views as well.
-- $1 tenants text[], $2 streams text[], $3 expected bigint[], $4 types of streams text[]; per event $5 tenant text[],
-- $6 stream text[], $7 place of the stream integer[], $8 ids uuid[]; $9 idempotent boolean
select {schema}.begin_append($1, $2, $3, $4, $5, $6, $7, $8, $9)
