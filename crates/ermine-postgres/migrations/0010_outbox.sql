-- Messages between the commit that wants them sent and their delivery. Positions ascend in the order of the commits of one
-- shard; those of two shards may become visible the other way round, so whoever delivers looks for what is not settled,
-- not for what is above a position. A settled message keeps its id for ever and loses its body.
create table {schema}.outbox (
  position bigint generated always as identity (cache 1 no cycle),
  id uuid primary key,
  projection text collate "C" not null,
  seq bigint not null,
  tenant text collate "C" not null default '',
  topic text not null,
  body json,
  published_at timestamptz not null default transaction_timestamp(),
  settled_at timestamptz,
  check (body is not null or settled_at is not null)
);
create index outbox_pending on {schema}.outbox (position) where settled_at is null;
