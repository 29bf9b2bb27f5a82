-- Events that shards have refused, the events that wait behind them, and what operators want of shards.

-- dead_letters: one row per shard, event and what waits behind it (key_kind '': nothing does). The body is a text, because it
-- comes back byte for byte, even where it is no JSON. first_at and last_at say when the event failed, by and reason who asked
-- for its state and why.
create table {schema}.dead_letters (
  shard text collate "C" not null,
  seq bigint not null,
  key_kind text collate "C" not null default '',
  key_tenant text collate "C" not null default '',
  key_id text collate "C" not null default '',
  projection text collate "C" not null,
  tenant text collate "C" not null default '',
  stream_id text collate "C" not null,
  version bigint not null,
  type text collate "C" not null,
  body text collate "C" not null,
  error text collate "C" not null,
  class text collate "C",
  attempts bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  status text collate "C" not null default 'waiting',
  by text collate "C",
  reason text collate "C",
  settled_at timestamptz,
  primary key (shard, seq, key_kind, key_tenant, key_id)
);
-- Whoever runs shards asks all the time whether anything is requested, and mostly nothing is.
create index dead_letters_requested on {schema}.dead_letters (shard, seq, key_kind, key_tenant, key_id)
  where status in ('retry', 'discard');

-- parked_events: the events that wait, so that those of one key are found in their order.
create table {schema}.parked_events (
  shard text collate "C" not null,
  key_kind text collate "C" not null,
  key_tenant text collate "C" not null default '',
  key_id text collate "C" not null,
  seq bigint not null,
  primary key (shard, key_kind, key_tenant, key_id, seq)
);

-- wishes: the shards that shall stand still, who wants that, and until when (null: until it is undone).
create table {schema}.wishes (
  shard text collate "C" primary key,
  by text collate "C" not null,
  reason text collate "C" not null,
  since timestamptz not null,
  until timestamptz
);

-- As before, with a code that cannot be taken for a refusal of somebody's trigger.
create or replace function {schema}.still_in_batch() returns void language plpgsql as $$
begin
  if current_setting('ermine.batch', true) is distinct from 'on' then
    raise exception 'a native statement has ended the transaction of its batch, or reset its settings'
      using errcode = 'EM010';
  end if;
end $$;

-- Whoever could commit before still can, for commits write what is new.
do $grants$
declare
  given record;
begin
  for given in
    with held as (
      select a.attname, x.grantee, x.privilege_type
      from pg_catalog.pg_attribute a cross join lateral pg_catalog.aclexplode(a.attacl) x
      where a.attrelid = '{schema}.progress'::pg_catalog.regclass
      union all
      select null, x.grantee, x.privilege_type
      from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) x
      where c.oid = '{schema}.progress'::pg_catalog.regclass
    )
    select distinct case h.grantee when 0 then 'public' else h.grantee::pg_catalog.regrole::text end as grantee
    from held h
    where h.privilege_type = 'UPDATE' and (h.attname is null or h.attname = 'seq')
  loop
    execute format(
      'grant select, insert, update, delete on {schema}.dead_letters, {schema}.parked_events, {schema}.wishes to %s',
      given.grantee);
  end loop;
end $grants$;
