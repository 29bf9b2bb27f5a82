-- event_from: the first event at or above a number, with the latest time of all events up to it.
-- ?1 number
select seq, recorded_at, coalesce(latest, recorded_at) from events where seq >= ?1 order by seq limit 1
