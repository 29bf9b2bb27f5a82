-- explain_holders: who may have drawn numbers and not ended yet, by the lock of the sequence. Their floors are not known,
-- so the last number stands for all.
with w as materialized (
  select coalesce(pg_sequence_last_value('{schema}.events_seq_seq'::regclass), 0) as last
)
select w.last as floor, l.pid, a.application_name as application,
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
