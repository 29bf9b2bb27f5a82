-- statistics: what the store holds; it counts.
select (select count(*) from {schema}.events) as events,
  (select count(*) from {schema}.streams where version > 0) as streams,
  (select coalesce(max(seq), 0) from {schema}.events) as highest
