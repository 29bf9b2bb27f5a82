-- latest_time: the latest time of all events.
select coalesce(latest, recorded_at) from events order by seq desc limit 1
