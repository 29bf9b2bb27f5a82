-- Appending a batch, with types of streams; and what an append with views, or a commit with appends, needs besides.

-- As before, with p_stream_types per stream; whoever calls it without leaves them open.
drop function {schema}.append_events(text[], text[], bigint[], bigint[], text[], text[], integer[], integer[],
  uuid[], text[], json[], text[], text[], json[], boolean);
create function {schema}.append_events(
  p_tenants text[], p_streams text[], p_expected bigint[], p_counts bigint[],
  p_of_tenant text[], p_of_stream text[], p_stream_index integer[], p_nth integer[],
  p_ids uuid[], p_types text[], p_bodies json[], p_correlations text[], p_causations text[], p_headers json[],
  p_idempotent boolean, p_stream_types text[] default null,
  out last_seq bigint, out versions bigint[], out recorded_at timestamptz, out repeated boolean
) language plpgsql as $$
declare
  k integer;
  actual bigint;
begin
  repeated := false;
  if p_idempotent then
    select a.last_seq, a.versions, a.recorded_at into last_seq, append_events.versions, append_events.recorded_at
    from {schema}.known_append(p_of_tenant, p_of_stream, p_stream_index, p_ids) a;
    if last_seq is not null then
      repeated := true;
      return;
    end if;
  end if;
  -- One lock order everywhere: the rows of streams by (tenant, stream_id), before any number. An archived one is locked
  -- and not counted, so that its version is null here.
  with bumped as (
    insert into {schema}.streams as s (tenant, stream_id, version, type)
    select u.tenant, u.stream, u.n, u.type
    from unnest(p_tenants, p_streams, p_counts, p_stream_types) as u(tenant, stream, n, type)
    order by u.tenant collate "C", u.stream collate "C"
    on conflict (tenant, stream_id) do update
    set version = s.version + excluded.version, type = case s.version when 0 then excluded.type else s.type end
    where not s.archived
    returning s.tenant, s.stream_id, s.version
  )
  select array_agg(b.version order by u.k) into append_events.versions
  from unnest(p_tenants, p_streams) with ordinality as u(tenant, stream, k)
  left join bumped b on b.tenant = u.tenant and b.stream_id = u.stream;
  if p_idempotent then
    -- The same batch may have been in flight before: whoever had it held these rows, and has ended by now.
    select a.last_seq, a.versions, a.recorded_at into last_seq, append_events.versions, append_events.recorded_at
    from {schema}.known_append(p_of_tenant, p_of_stream, p_stream_index, p_ids) a
    where a.last_seq is not null;
    if found then
      update {schema}.streams s set version = s.version - u.n
      from unnest(p_tenants, p_streams, p_counts) as u(tenant, stream, n)
      where s.tenant = u.tenant and s.stream_id = u.stream and not s.archived;
      repeated := true;
      return;
    end if;
    select array_agg(s.version order by u.k) into append_events.versions
    from unnest(p_tenants, p_streams) with ordinality as u(tenant, stream, k)
    cross join lateral (
      select case when not x.archived then x.version end as version
      from {schema}.streams x where x.tenant = u.tenant and x.stream_id = u.stream limit 1) s;
  end if;
  for k in 1 .. cardinality(p_streams) loop
    if versions[k] is null then
      perform {schema}.refuse_archived(p_tenants[k], p_streams[k]);
    end if;
    actual := versions[k] - p_counts[k];
    if p_expected[k] <> actual then
      perform {schema}.refuse_version(p_tenants[k], p_streams[k], actual, p_expected[k]);
    end if;
  end loop;
  with inserted as (
    insert into {schema}.events as e
      (tenant, stream_id, version, id, type, data, correlation, causation, headers)
    select u.tenant, u.stream, versions[u.stream_index] - p_counts[u.stream_index] + u.nth, u.id, u.type, u.body,
      u.correlation, u.causation, u.headers
    from unnest(p_of_tenant, p_of_stream, p_stream_index, p_nth, p_ids, p_types, p_bodies, p_correlations, p_causations,
        p_headers) with ordinality
      as u(tenant, stream, stream_index, nth, id, type, body, correlation, causation, headers, place)
    order by u.place
    returning e.seq
  )
  select max(i.seq) into last_seq from inserted i;
  recorded_at := transaction_timestamp();
end $$;

-- Locks the rows of streams in the one order. A stream that is not there gets a row of version 0, because what is not
-- there cannot be locked; the update never happens, only its lock does.
create function {schema}.lock_streams(p_tenants text[], p_streams text[], p_types text[]) returns void
language plpgsql as $$
begin
  insert into {schema}.streams as s (tenant, stream_id, version, type)
  select distinct on (u.tenant collate "C", u.stream collate "C") u.tenant, u.stream, 0, u.type
  from unnest(p_tenants, p_streams, p_types) as u(tenant, stream, type)
  order by u.tenant collate "C", u.stream collate "C"
  on conflict (tenant, stream_id) do update set version = s.version where false;
end $$;

-- Begins an append that changes views as well: everything that can be said of its streams before its views are looked
-- at. Like advance it insists on the mark of the BEGIN before it, because it is sent together with all that follows. An
-- append that was recorded before ends here, with the answer of the first time as an error: so nothing of it is repeated.
create function {schema}.begin_append(
  p_tenants text[], p_streams text[], p_expected bigint[], p_stream_types text[],
  p_of_tenant text[], p_of_stream text[], p_stream_index integer[], p_ids uuid[], p_idempotent boolean
) returns void language plpgsql as $$
declare
  wrong record;
begin
  if current_setting('ermine.batch', true) is distinct from 'on' then
    raise exception 'an append with views outside of its transaction' using errcode = '40001';
  end if;
  perform {schema}.lock_streams(p_tenants, p_streams, p_stream_types);
  if p_idempotent then
    perform {schema}.answer_known(p_of_tenant, p_of_stream, p_stream_index, p_ids);
  end if;
  select u.tenant, u.stream, u.expected, s.version, s.archived into wrong
  from unnest(p_tenants, p_streams, p_expected) with ordinality as u(tenant, stream, expected, place)
  cross join lateral (
    select x.version, x.archived from {schema}.streams x where x.tenant = u.tenant and x.stream_id = u.stream limit 1) s
  where s.archived or s.version <> u.expected
  order by u.place limit 1;
  if wrong.archived then
    perform {schema}.refuse_archived(wrong.tenant, wrong.stream);
  elsif wrong.stream is not null then
    perform {schema}.refuse_version(wrong.tenant, wrong.stream, wrong.version, wrong.expected);
  end if;
end $$;

-- Raises the answer of the first time, if there was one.
create function {schema}.answer_known(p_tenants text[], p_streams text[], p_stream_index integer[], p_ids uuid[])
returns void language plpgsql as $$
declare
  known record;
begin
  select a.last_seq, a.versions, a.recorded_at into known
  from {schema}.known_append(p_tenants, p_streams, p_stream_index, p_ids) a;
  if known.last_seq is not null then
    raise exception 'this append was recorded before' using errcode = 'EM010',
      detail = json_build_object('last_seq', known.last_seq, 'versions', known.versions,
        'recorded_at', (extract(epoch from known.recorded_at) * 1000000)::bigint)::text;
  end if;
end $$;

-- Locks views that are not there, which no lock of a row can: whoever else has read that one of them is absent waits here
-- for the end of this transaction, and looks afterwards. The negative class, as for the bell, which has key 1: nobody takes
-- these for floors. Views share a limited number of keys, so that an append of any size finds room in the table of locks.
create function {schema}.lock_absent(p_tables text[], p_tenants text[], p_ids text[]) returns void language plpgsql as $$
declare
  lock_key integer;
begin
  for lock_key in
    select distinct 2 + (hashtext(concat_ws(' ', u.view_table, u.tenant, u.id)) & 4095)
    from unnest(p_tables, p_tenants, p_ids) as u(view_table, tenant, id)
    order by 1
  loop
    perform pg_advisory_xact_lock(-{class}, lock_key);
  end loop;
end $$;

-- Follows a statement of a stranger: what comes next relies on the transaction that it was a part of.
create function {schema}.still_in_batch() returns void language plpgsql as $$
begin
  if current_setting('ermine.batch', true) is distinct from 'on' then
    raise exception 'a native statement has ended the transaction of its batch, or reset its settings';
  end if;
end $$;

-- Refuses an append whose view is not at the version it has read.
create function {schema}.refuse_view(p_table text, p_version_column text, p_tenant text, p_id text)
returns void language plpgsql as $$
declare
  actual bigint;
begin
  execute format('select %I from {schema}.%I where tenant = $1 and id = $2', p_version_column, p_table)
  into actual using p_tenant, p_id;
  raise exception 'view "%" of % has changed: its version is %', p_id, p_table, coalesce(actual::text, 'none')
    using errcode = 'EM004',
      detail = json_build_object('table', p_table, 'tenant', p_tenant, 'id', p_id, 'actual', actual)::text;
end $$;

-- Appends the events that are not recorded yet to streams that are locked, whatever their versions: one stream may stand
-- here several times, and of an event that does the first one counts.
create function {schema}.append_missing(
  p_tenants text[], p_streams text[], p_ids uuid[], p_types text[], p_bodies json[],
  p_correlations text[], p_causations text[], p_headers json[]
) returns void language plpgsql as $$
declare
  closed record;
begin
  if current_setting('ermine.batch', true) is distinct from 'on' then
    raise exception 'events of a batch outside of its transaction' using errcode = '40001';
  end if;
  -- Lateral with a limit, here and below: one look into the index for each, whatever the planner thinks of the tables.
  select u.tenant, u.stream into closed
  from unnest(p_tenants, p_streams, p_ids) with ordinality as u(tenant, stream, id, place)
  cross join lateral (
    select from {schema}.streams x where x.tenant = u.tenant and x.stream_id = u.stream and x.archived limit 1) s
  left join lateral (select e.seq from {schema}.events e where e.id = u.id limit 1) known on true
  where known.seq is null
  order by u.place limit 1;
  if found then
    perform {schema}.refuse_archived(closed.tenant, closed.stream);
  end if;
  -- Even an insert of no rows would take the floor, and ring.
  perform from unnest(p_ids) as u(id)
  left join lateral (select e.seq from {schema}.events e where e.id = u.id limit 1) known on true
  where known.seq is null limit 1;
  if not found then
    return;
  end if;
  with given as (
    select distinct on (u.id) u.*
    from unnest(p_tenants, p_streams, p_ids, p_types, p_bodies, p_correlations, p_causations, p_headers) with ordinality
      as u(tenant, stream, id, type, body, correlation, causation, headers, place)
    order by u.id, u.place
  ), missing as (
    select g.*, row_number() over (partition by g.tenant, g.stream order by g.place) as nth,
      count(*) over (partition by g.tenant, g.stream) as n
    from given g
    left join lateral (select e.seq from {schema}.events e where e.id = g.id limit 1) known on true
    where known.seq is null
  ), bumped as (
    insert into {schema}.streams as s (tenant, stream_id, version)
    select m.tenant, m.stream, m.n from missing m where m.nth = 1
    on conflict (tenant, stream_id) do update set version = s.version + excluded.version
    returning s.tenant, s.stream_id, s.version
  )
  insert into {schema}.events (tenant, stream_id, version, id, type, data, correlation, causation, headers)
  select m.tenant, m.stream, b.version - m.n + m.nth, m.id, m.type, m.body, m.correlation, m.causation, m.headers
  from missing m join bumped b on b.tenant = m.tenant and b.stream_id = m.stream
  order by m.place;
end $$;
