-- skip_events: marks events that no projection shall see.
-- $1 numbers bigint[], $2 reason text
update {schema}.events set skipped = $2 where seq = any($1) and skipped is null
