-- explain: who holds the mark by a floor, lowest floor first. A prepared transaction has no process; it is found by the
-- lock on its transaction id, which has the same virtual transaction as its floor.
with w as materialized (
  select coalesce(pg_sequence_last_value('{schema}.events_seq_seq'::regclass), 0) as last
)
select least(w.last, w.last - (((w.last - l.objid::bigint) << 32) >> 32)) as floor,
  l.pid, a.application_name as application,
  coalesce('prepared ' || p.gid, a.state || coalesce(', waiting for ' || a.wait_event, ''), 'unknown') as state,
  greatest(extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0)::double precision as age,
  left(a.query, 200) as query
from w, pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
left join pg_catalog.pg_locks x on l.pid is null and x.pid is null and x.locktype = 'transactionid' and x.granted
  and x.mode = 'ExclusiveLock' and x.virtualtransaction = l.virtualtransaction
left join pg_catalog.pg_prepared_xacts p on p.transaction = x.transactionid
where l.locktype = 'advisory' and l.classid = (select s.lock_class::bigint::oid from {schema}.store s) and l.objsubid = 2
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
order by 1, age desc
