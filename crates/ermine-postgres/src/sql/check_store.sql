-- check_store: every promise of the store on one row: what, whether it holds, what was seen, and the remedy.
with store as materialized (
  select s.lock_class, '{schema}.events'::regclass as events, '{schema}.events_seq_seq'::regclass as sequence,
    pg_sequence_last_value('{schema}.events_seq_seq'::regclass) as last,
    (select d.oid from pg_catalog.pg_database d where d.datname = current_database()) as database
  from {schema}.store s
)
select 'the server is a primary' as what, not pg_is_in_recovery() as holds,
  case when pg_is_in_recovery() then 'in recovery' else 'primary' end as detail,
  'connect the control connection to the primary' as remedy
union all
select 'numbers are drawn one by one', q.seqcache = 1 and q.seqincrement = 1 and not q.seqcycle and q.seqtypid = 'int8'::regtype,
  format('cache %s, increment %s, cycle %s, %s', q.seqcache, q.seqincrement, q.seqcycle, q.seqtypid::regtype),
  'alter sequence ' || s.sequence || ' as bigint increment by 1 cache 1 no cycle'
from store s join pg_catalog.pg_sequence q on q.seqrelid = s.sequence
union all
select 'the log draws its own numbers',
  a.attidentity = 'a' and pg_get_serial_sequence(s.events::text, 'seq')::regclass = s.sequence,
  format('identity "%s" from %s', a.attidentity, coalesce(pg_get_serial_sequence(s.events::text, 'seq'), 'nowhere')),
  'alter table ' || s.events || ' alter column seq set generated always'
from store s join pg_catalog.pg_attribute a on a.attrelid = s.events and a.attname = 'seq'
union all
select 'no other column draws these numbers', count(d.objid) = 0, format('%s other defaults', count(d.objid)),
  'drop the other defaults that use ' || s.sequence
from store s left join pg_catalog.pg_depend d on d.refobjid = s.sequence and d.refclassid = 'pg_class'::regclass
  and d.classid = 'pg_attrdef'::regclass
group by s.sequence
union all
select 'the log survives a crash', bool_and(c.relpersistence = 'p'), string_agg(c.relname || ' ' || c.relpersistence::text, ', '),
  'alter table ' || s.events || ' set logged'
from store s join pg_catalog.pg_class c on c.oid in (s.events, s.sequence, '{schema}.progress'::regclass)
group by s.events
union all
select 'a crash changes the incarnation', c.relpersistence = 'u', 'persistence ' || c.relpersistence::text,
  'alter table {schema}.incarnation set unlogged'
from pg_catalog.pg_class c where c.oid = '{schema}.incarnation'::regclass
union all
select 'the floor lock is installed', count(t.oid) = 1, format('%s triggers', count(t.oid)),
  'alter table ' || s.events || ' enable always trigger ermine_floor; if it is gone, restore the store from its migrations'
from store s left join pg_catalog.pg_trigger t on t.tgrelid = s.events and t.tgname = 'ermine_floor'
  and t.tgfoid = '{schema}.take_floor'::regproc and t.tgenabled = 'A' and t.tgtype = 6 and t.tgqual is null
group by s.events
union all
select 'the guard is installed', bool_and(coalesce(t.tgenabled = 'A', false)),
  string_agg(r.relid::regclass::text || ' ' || coalesce(t.tgenabled::text, 'missing'), ', '),
  'alter table ' || s.events || ' enable always trigger ermine_guard, on every partition as well'
from store s
cross join lateral (select p.relid from pg_partition_tree(s.events) p union select s.events) r(relid)
left join pg_catalog.pg_trigger t on t.tgrelid = r.relid and t.tgname = 'ermine_guard'
  and t.tgfoid = '{schema}.floor_guard'::regproc and t.tgqual is null
group by s.events
union all
select 'the log cannot be emptied or renumbered', count(t.oid) = 2, format('%s of 2 triggers', count(t.oid)),
  'alter table ' || s.events || ' enable always trigger ermine_no_truncate, enable always trigger ermine_no_renumber'
from store s left join pg_catalog.pg_trigger t on t.tgrelid = s.events
  and t.tgname in ('ermine_no_truncate', 'ermine_no_renumber') and t.tgenabled = 'A'
group by s.events
union all
select 'nobody else uses the lock class', count(l.pid) = 0, coalesce(string_agg(distinct l.pid || ' ' || l.mode, ', '), 'nobody'),
  'let the application with this process id use other advisory locks than class ' || s.lock_class
from store s left join pg_catalog.pg_locks l on l.locktype = 'advisory' and l.classid = s.lock_class::bigint::oid
  and l.database = s.database and (l.objsubid <> 2 or l.mode <> 'ShareLock')
group by s.lock_class
union all
select 'the lock class is this store''s alone', count(c.oid) = 1, format('%s stores with class %s', count(c.oid), s.lock_class),
  'a copied schema needs a lock class of its own: migrate an empty schema and copy the events into it'
from store s left join pg_catalog.pg_class c on c.relname = 'store'
  and pg_catalog.obj_description(c.oid, 'pg_class') = 'ermine lock class ' || s.lock_class
group by s.lock_class
union all
select 'no role or database presets a floor', count(o.setconfig) = 0, coalesce(string_agg(o.setconfig, ', '), 'none'),
  'alter role .. reset or alter database .. reset the setting'
from store s left join (
  select unnest(r.setconfig) as setconfig from pg_catalog.pg_db_role_setting r
) o on lower(o.setconfig) like 'ermine.floor%'
union all
select 'the log is not fed by a subscription', count(r.srrelid) = 0, format('%s subscriptions', count(r.srrelid)),
  'a replicated copy of events cannot be a store: drop the subscription'
from store s left join pg_catalog.pg_subscription_rel r on r.srrelid = s.events
union all
select 'progress is not above the last number', coalesce(max(p.seq), 0) <= coalesce(s.last, 0),
  format('progress %s, last number %s', coalesce(max(p.seq), 0), coalesce(s.last, 0)),
  'the log was rewound or restored without its progress: empty the views of every projection and set its progress.seq to 0, or give it a new version'
from store s left join {schema}.progress p on true
group by s.last
union all
select 'no event is above the last number', coalesce((select max(e.seq) from {schema}.events e), 0) <= coalesce(s.last, 0),
  format('last number %s', coalesce(s.last, 0)),
  format('select setval(''%s'', (select max(seq) from %s))', s.sequence, s.events)
from store s
union all
select 'the position of the sequence can be read',
  has_sequence_privilege(s.sequence, 'USAGE') or has_sequence_privilege(s.sequence, 'SELECT'), current_user::text,
  format('grant select on sequence %s to %I', s.sequence, current_user)
from store s
union all
select 'statements see what is committed', current_setting('transaction_isolation') = 'read committed',
  current_setting('transaction_isolation'), 'set default_transaction_isolation to read committed for this role'
