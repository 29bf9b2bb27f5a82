-- append_events_after: append_events at the end of a transaction of several statements. The mark that its BEGIN has left
-- is asked for, so that events are not appended on their own should the BEGIN have failed.
select last_seq, versions, recorded_at, repeated
from {schema}.append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
where current_setting('ermine.batch', true) = 'on'
