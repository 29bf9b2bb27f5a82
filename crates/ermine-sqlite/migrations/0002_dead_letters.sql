-- What shards have refused, and what operators want of shards.
--
-- dead_letters: events that a shard has refused, each with the reason. What waits behind one is its key: a kind, a tenant and
-- an id, all empty where nothing does. The first five columns are the order in which letters are given. The body is as it
-- was stored, also where it is no JSON.
create table dead_letters (
  shard text not null,
  seq integer not null,
  key_kind text not null,
  key_tenant text not null,
  key_id text not null,
  projection text not null,
  tenant text not null,
  stream_id text not null,
  version integer not null,
  type text not null,
  class text,
  error text not null,
  attempts integer not null,
  first_at integer not null,
  last_at integer not null,
  status text not null,
  "by" text,
  reason text,
  settled_at integer,
  body text not null,
  primary key (shard, seq, key_kind, key_tenant, key_id)
) strict;
-- Whether there is anything to do is asked all the time, and the answer is no. The status stands at the end of the indexes
-- so that counting reads nothing else.
create index dead_letters_requested on dead_letters (shard, seq, key_kind, key_tenant, key_id, status)
  where status in ('retry', 'discard');
-- Settled letters pile up until they are purged.
create index dead_letters_open on dead_letters (shard, seq, key_kind, key_tenant, key_id, status)
  where status in ('waiting', 'retry', 'discard');

-- parked_events: events that wait behind a letter, in the order in which they go on.
create table parked_events (
  shard text not null,
  key_kind text not null,
  key_tenant text not null,
  key_id text not null,
  seq integer not null,
  primary key (shard, key_kind, key_tenant, key_id, seq)
) strict, without rowid;

-- wishes: which shards are to stand still.
create table wishes (
  shard text primary key,
  "by" text not null,
  reason text not null,
  since integer not null,
  until integer
) strict, without rowid;

-- news counts what daemons are to hear of that is not in the log: requests about letters, and wishes.
alter table meta add column news integer not null default 0;
