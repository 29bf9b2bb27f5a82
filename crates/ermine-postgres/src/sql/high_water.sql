-- high_water: one observation of the log by floors.
-- $1 arm bigint (milliseconds or null), $2 silence bigint (the value that was armed, or null)
select incarnation, armed, last, floors, last_again, highest, at from {schema}.high_water($1, $2)
