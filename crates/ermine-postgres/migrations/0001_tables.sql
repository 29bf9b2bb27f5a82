-- The tables of a store.
--
-- store: one row; the lock class belongs to the floor locks of this store alone, in this database. It stands in the
-- table's comment as well, where the migration of another store can read it without any privilege.
create table {schema}.store (
  only_row boolean primary key default true check (only_row),
  lock_class integer not null check (lock_class > 0),
  created_at timestamptz not null default transaction_timestamp()
);
insert into {schema}.store (lock_class) values ({class});
comment on table {schema}.store is 'ermine lock class {class}';

-- streams: how many events each stream has. An append locks its rows here in the order of (tenant, stream_id).
create table {schema}.streams (
  tenant text collate "C" not null default '',
  stream_id text collate "C" not null,
  version bigint not null,
  created_at timestamptz not null default transaction_timestamp(),
  primary key (tenant, stream_id)
);

-- events: the log. The column order keeps the fixed-width ones together.
create table {schema}.events (
  seq bigint generated always as identity (cache 1 no cycle) primary key,
  version bigint not null,
  recorded_at timestamptz not null default transaction_timestamp(),
  id uuid not null unique,
  tenant text collate "C" not null default '',
  stream_id text collate "C" not null,
  type text collate "C" not null,
  data json not null,
  correlation text,
  causation text,
  headers json,
  unique (tenant, stream_id, version)
);
comment on table {schema}.events is
  'The events of an ermine store. Append through append(): it keeps streams in step. Whoever inserts here directly must keep streams.version as well.';

-- progress: how far each shard has committed. The rows change all the time, so pages keep room for their versions.
create table {schema}.progress (
  shard text collate "C" primary key,
  seq bigint not null default 0,
  epoch bigint not null default 0,
  state text not null default 'running',
  layout integer not null default 1,
  unknown_events bigint not null default 0,
  moved_at timestamptz not null default clock_timestamp()
) with (fillfactor = 10);

-- projections: which table holds the views of which version and generation of which projection.
create table {schema}.projections (
  name text collate "C" not null,
  version bigint not null,
  generation bigint not null,
  table_name text collate "C" not null unique,
  state text not null default 'active',
  primary key (name, version, generation)
);

-- incarnation: a crash empties an unlogged table, a clean restart keeps it. The first observer that finds it empty
-- writes a new token, and whatever was learnt under the old one is void.
create unlogged table {schema}.incarnation (
  only_row boolean primary key default true check (only_row),
  token uuid not null default gen_random_uuid()
);
insert into {schema}.incarnation default values;

-- bell: until when appends shall ring, in milliseconds since 1970 by the server's clock; outside of transactions.
create sequence {schema}.bell cache 1 no cycle;
select setval('{schema}.bell', 1);
