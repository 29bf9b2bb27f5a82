-- locate_after: the first event above $1 bigint.
select seq, recorded_at from {schema}.events where seq > $1 order by seq limit 1
