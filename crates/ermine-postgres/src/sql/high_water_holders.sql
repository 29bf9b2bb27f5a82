-- high_water_holders: one observation of the log by the holders of the sequence's own lock.
-- $1 arm bigint (milliseconds or null), $2 silence bigint (the value that was armed, or null)
select incarnation, armed, last, holders, last_again, highest, at from {schema}.high_water_holders($1, $2)
