-- statistics: what the store holds; it counts.
select (select count(*) from events) as events,
  (select count(*) from streams) as streams,
  (select coalesce(max(seq), 0) from events) as highest
