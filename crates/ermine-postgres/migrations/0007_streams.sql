-- Types of streams, archived streams, events that an operator has marked as skipped, and moments in the log.

alter table {schema}.streams
  add column type text collate "C",
  add column archived boolean not null default false;
comment on column {schema}.streams.type is 'What kind of stream it is; kept from its first append on.';
comment on column {schema}.streams.archived is 'Whether it takes no more events; its last one is of type ermine.archived.';

alter table {schema}.events add column skipped text;
comment on column {schema}.events.skipped is 'Why no projection shall see it; null where they shall.';

-- The first event below p_below that was recorded at p_since or later. The settings leave the index on both columns, which
-- a later step makes, as the way.
create function {schema}.recorded_since(p_since timestamptz, p_below bigint, out seq bigint, out recorded_at timestamptz)
language sql stable set enable_indexscan = off set enable_indexonlyscan = off set enable_seqscan = off as $$
  select e.seq, e.recorded_at from {schema}.events e
  where e.recorded_at >= p_since and e.seq < p_below
  order by e.seq limit 1
$$;

-- The first event that was recorded at p_since or later. Times ascend with numbers, except where transactions overlap: so
-- halving leads to an event close to the first, and what is recorded_since then looks at is a page or two.
create function {schema}.first_since(p_since timestamptz, out seq bigint, out recorded_at timestamptz)
language plpgsql stable as $$
declare
  low bigint := 0;
  high bigint;
  middle bigint;
  at_seq bigint;
  at_time timestamptz;
  below bigint := 9223372036854775807;
begin
  select coalesce(max(e.seq), 0) + 1 into high from {schema}.events e;
  while high - low > 1 loop
    middle := low + (high - low) / 2;
    select e.seq, e.recorded_at into at_seq, at_time
    from {schema}.events e where e.seq >= middle and e.seq < high order by e.seq limit 1;
    if at_time < p_since then
      low := at_seq;
    else
      -- Either it was recorded late enough, or there is nothing from the middle on.
      if at_seq is not null then
        first_since.seq := at_seq;
        first_since.recorded_at := at_time;
        below := at_seq;
      end if;
      high := middle;
    end if;
  end loop;
  select r.seq, r.recorded_at into at_seq, at_time from {schema}.recorded_since(p_since, below) r where r.seq is not null;
  if found then
    first_since.seq := at_seq;
    first_since.recorded_at := at_time;
  end if;
end $$;

-- Refuses an append to an archived stream.
create function {schema}.refuse_archived(p_tenant text, p_stream text) returns void language plpgsql as $$
begin
  raise exception 'stream "%" is archived and takes no more events', p_stream
    using errcode = 'EM007', detail = json_build_object('tenant', p_tenant, 'stream', p_stream)::text,
      hint = 'begin another stream';
end $$;

-- Refuses an append that the row of its stream did not admit, and says why.
create function {schema}.refuse_append(p_tenant text, p_stream text, p_expected bigint) returns void language plpgsql as $$
declare
  actual bigint;
  archived boolean;
begin
  select s.version, s.archived into actual, archived
  from {schema}.streams s where s.tenant = p_tenant and s.stream_id = p_stream;
  if archived then
    perform {schema}.refuse_archived(p_tenant, p_stream);
  end if;
  perform {schema}.refuse_version(p_tenant, p_stream, coalesce(actual, 0), p_expected);
end $$;

-- As before, with the type of the stream; whoever calls it with six arguments leaves it open. That the stream is not
-- archived is part of the same row lock. A row of version 0 stands for a stream that somebody has locked before its
-- first event.
drop function {schema}.append_stream(text, text, bigint, uuid[], text[], json[]);
create function {schema}.append_stream(
  p_tenant text, p_stream text, p_expected bigint, p_ids uuid[], p_types text[], p_bodies json[],
  p_stream_type text default null,
  out last_seq bigint, out version bigint, out recorded_at timestamptz
) language plpgsql as $$
declare
  n integer := cardinality(p_ids);
begin
  if p_expected is null then
    insert into {schema}.streams as s (tenant, stream_id, version, type) values (p_tenant, p_stream, n, p_stream_type)
    on conflict (tenant, stream_id) do update
    set version = s.version + n, type = case s.version when 0 then excluded.type else s.type end
    where not s.archived
    returning s.version into append_stream.version;
  elsif p_expected = 0 then
    insert into {schema}.streams as s (tenant, stream_id, version, type) values (p_tenant, p_stream, n, p_stream_type)
    on conflict (tenant, stream_id) do nothing
    returning s.version into append_stream.version;
    if append_stream.version is null then
      -- An update that finds no row locks none.
      update {schema}.streams s set version = n, type = p_stream_type
      where s.tenant = p_tenant and s.stream_id = p_stream and s.version = 0
      returning s.version into append_stream.version;
    end if;
  else
    update {schema}.streams s set version = s.version + n
    where s.tenant = p_tenant and s.stream_id = p_stream and s.version = p_expected and not s.archived
    returning s.version into append_stream.version;
  end if;
  if append_stream.version is null then
    perform {schema}.refuse_append(p_tenant, p_stream, p_expected);
  end if;
  if n = 1 then
    insert into {schema}.events as e (tenant, stream_id, version, id, type, data)
    values (p_tenant, p_stream, append_stream.version, p_ids[1], p_types[1], p_bodies[1])
    returning e.seq into last_seq;
  else
    with inserted as (
      insert into {schema}.events as e (tenant, stream_id, version, id, type, data)
      select p_tenant, p_stream, append_stream.version - n + u.nth, u.id, u.type, u.body
      from unnest(p_ids, p_types, p_bodies) with ordinality as u(id, type, body, nth)
      order by u.nth
      returning e.seq
    )
    select max(i.seq) into last_seq from inserted i;
  end if;
  recorded_at := transaction_timestamp();
end $$;

-- append: as before, and once more with the type that a new stream gets.
create function {schema}.append(
  stream text, expected bigint, types text[], bodies json[], tenant text, stream_type text
) returns bigint language plpgsql as $$
declare
  answer record;
begin
  if coalesce(cardinality(types), 0) = 0 or cardinality(types) is distinct from cardinality(bodies) then
    raise exception 'append needs at least one event, and as many types as bodies' using errcode = '22023';
  end if;
  if octet_length(stream) not between 1 and 500 or octet_length(tenant) > 200 then
    raise exception 'a stream id has 1 to 500 bytes and a tenant id up to 200' using errcode = '22023';
  end if;
  if exists (select from unnest(types) t where t is null or octet_length(t) not between 1 and 200) then
    raise exception 'an event type has 1 to 200 bytes' using errcode = '22023';
  end if;
  if octet_length(stream_type) not between 1 and 200 then
    raise exception 'a stream type has 1 to 200 bytes' using errcode = '22023';
  end if;
  select * into answer from {schema}.append_stream(
    append.tenant, append.stream, append.expected,
    array(select gen_random_uuid() from generate_series(1, cardinality(types))), types, bodies, stream_type);
  return answer.last_seq;
end $$;
comment on function {schema}.append(text, bigint, text[], json[], text, text) is
  'Appends events to a stream, which gets a type (or none, by null) with its first ones; otherwise like the one with five arguments. An archived stream raises EM007.';
create or replace function {schema}.append(
  stream text, expected bigint, types text[], bodies json[], tenant text default ''
) returns bigint language plpgsql as $$
begin
  return {schema}.append(append.stream, append.expected, append.types, append.bodies, append.tenant, null);
end $$;

-- archive_stream: one last event, and the mark that there are no more. No row where there are no events.
create function {schema}.archive_stream(
  p_tenant text, p_stream text, p_id uuid,
  out last_seq bigint, out version bigint, out recorded_at timestamptz, out repeated boolean
) language plpgsql as $$
#variable_conflict use_column
declare
  archived boolean;
  at bigint;
begin
  select s.archived, s.version into archived, at
  from {schema}.streams s where s.tenant = p_tenant and s.stream_id = p_stream for no key update;
  if coalesce(at, 0) = 0 then
    return;
  end if;
  repeated := archived;
  if archived then
    select e.seq, e.version, e.recorded_at into last_seq, archive_stream.version, archive_stream.recorded_at
    from {schema}.events e
    where e.tenant = p_tenant and e.stream_id = p_stream and e.type = 'ermine.archived'
    order by e.version desc limit 1;
  else
    select a.last_seq, a.version, a.recorded_at
    into archive_stream.last_seq, archive_stream.version, archive_stream.recorded_at
    from {schema}.append_stream(p_tenant, p_stream, null, array[p_id], array['ermine.archived'], array['{}']::json[]) a;
    update {schema}.streams s set archived = true where s.tenant = p_tenant and s.stream_id = p_stream;
  end if;
end $$;
