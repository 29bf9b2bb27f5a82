-- The tables of a store. Text is compared byte by byte, which is what SQLite does unless told otherwise. Times are
-- microseconds since 1970.
--
-- meta: one row. The token is the incarnation; boot names the boot of the machine in which somebody began to commit
-- without waiting for the disk, and is null while nobody does.
create table meta (
  only_row integer primary key check (only_row = 1),
  token blob not null check (length(token) = 16),
  boot text,
  created_at integer not null
) strict;

-- streams: how many events each stream has, and the number of the event that has ended it.
create table streams (
  tenant text not null,
  stream_id text not null,
  version integer not null,
  stream_type text,
  archived integer,
  primary key (tenant, stream_id)
) strict, without rowid;

-- events: the log. latest is the latest time of all events up to this one, and null where that is this one's own, which it
-- is unless the clock was set back: so a moment can be searched for by halves. The body comes last, so that what is asked
-- of an event whose body is large can be read without it.
create table events (
  seq integer primary key autoincrement,
  version integer not null,
  recorded_at integer not null,
  latest integer,
  id blob not null unique check (length(id) = 16),
  tenant text not null,
  stream_id text not null,
  type text not null,
  skipped text,
  correlation text,
  causation text,
  headers text,
  data text not null,
  unique (tenant, stream_id, version)
) strict;

-- progress: how far each shard has committed.
create table progress (
  shard text primary key,
  seq integer not null default 0,
  epoch integer not null default 0,
  unknown_events integer not null default 0,
  skipped_events integer not null default 0,
  moved_at integer not null
) strict, without rowid;

-- projections: which table holds the views of which version and generation of which projection. layout is JSON, and null
-- where views are documents; sql_name is what plain SQL calls a table of columns.
create table projections (
  name text not null,
  version integer not null,
  generation integer not null,
  table_name text not null unique,
  layout text,
  sql_name text,
  primary key (name, version, generation)
) strict, without rowid;

-- outbox: what is to be sent, in the order of commits, and the ids of all that has been.
create table outbox (
  position integer primary key autoincrement,
  id blob not null unique check (length(id) = 16),
  projection text not null,
  seq integer not null,
  tenant text not null,
  topic text not null,
  body text not null,
  settled_at integer
) strict;
create index outbox_pending on outbox (position) where settled_at is null;
