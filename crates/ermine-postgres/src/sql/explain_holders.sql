-- explain_holders: who may have drawn numbers and not ended yet, by the lock of the sequence. Their floors are known where
-- the floor lock has been at work as well; 0 stands for an unknown one.
with w as materialized (
  select coalesce(pg_sequence_last_value('{schema}.events_seq_seq'::regclass), 0) as last
)
select coalesce((
    select min(least(w.last, w.last - (((w.last - f.objid::bigint) << 32) >> 32)))
    from pg_catalog.pg_locks f
    where f.locktype = 'advisory' and f.classid = (select s.lock_class::bigint::oid from {schema}.store s)
      and f.objsubid = 2 and f.database = l.database and f.virtualtransaction = l.virtualtransaction
  ), 0) as floor,
  l.pid, a.application_name as application,
  coalesce('prepared ' || p.gid, a.state || coalesce(', waiting for ' || a.wait_event, ''), 'unknown') as state,
  greatest(extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0)::double precision as age,
  left(a.query, 200) as query
from w, pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
left join pg_catalog.pg_locks x on l.pid is null and x.pid is null and x.locktype = 'transactionid' and x.granted
  and x.mode = 'ExclusiveLock' and x.virtualtransaction = l.virtualtransaction
left join pg_catalog.pg_prepared_xacts p on p.transaction = x.transactionid
where l.locktype = 'relation' and l.relation = '{schema}.events_seq_seq'::regclass and l.mode = 'RowExclusiveLock'
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  and l.pid is distinct from pg_backend_pid() and l.virtualtransaction not like '%/0'
order by 1, age desc
