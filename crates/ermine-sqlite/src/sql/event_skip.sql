-- event_skip: marks an event that is not marked yet.
-- ?1 number, ?2 reason
update events set skipped = ?2 where seq = ?1 and skipped is null
