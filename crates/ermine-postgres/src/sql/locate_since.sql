-- locate_since: the first event that was recorded at $1 timestamptz or later.
select seq, recorded_at from {schema}.first_since($1) where seq is not null
