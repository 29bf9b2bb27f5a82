-- append_events: a batch of any shape. The first four and the last per stream, the others per event in the order of the
-- batch.
select last_seq, versions, recorded_at, repeated
from {schema}.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
