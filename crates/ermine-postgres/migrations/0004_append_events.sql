-- Appending a batch: many streams, metadata, idempotence.

-- Looks for the events of an idempotent batch. All recorded in their streams: the answer of the first time. None: null.
-- Anything between is refused with the ids that are recorded.
create function {schema}.known_append(
  p_tenants text[], p_streams text[], p_stream_index integer[], p_ids uuid[],
  out last_seq bigint, out versions bigint[], out recorded_at timestamptz
) language plpgsql as $$
declare
  known uuid[];
  misplaced uuid[];
begin
  with found as (
    select e.seq, e.version, e.recorded_at, e.id, u.stream_index, e.tenant = u.tenant and e.stream_id = u.stream as placed
    from unnest(p_tenants, p_streams, p_stream_index, p_ids) as u(tenant, stream, stream_index, id)
    -- Lateral with a limit: one look into the index per id, whatever the planner thinks of the table.
    cross join lateral (select * from {schema}.events x where x.id = u.id limit 1) e
  )
  select array_agg(f.id), array_agg(f.id) filter (where not f.placed), max(f.seq), max(f.recorded_at),
    (select array_agg(v.version order by v.stream_index)
     from (select g.stream_index, max(g.version) as version from found g group by g.stream_index) v)
  into known, misplaced, last_seq, known_append.recorded_at, versions
  from found f;
  if known is null or (misplaced is null and cardinality(known) = cardinality(p_ids)) then
    return;
  end if;
  if cardinality(known) = cardinality(p_ids) then
    raise exception 'event % is recorded in another stream', misplaced[1]
      using errcode = 'EM009', detail = json_build_object('id', misplaced[1])::text;
  end if;
  raise exception '% of % events are recorded already', cardinality(known), cardinality(p_ids)
    using errcode = 'EM008', detail = json_build_object('known', known)::text;
end $$;

-- Per stream: p_tenants, p_streams, p_expected (null: any), p_counts. Per event, in the order of the batch: the rest;
-- p_of_tenant and p_of_stream repeat the stream's name, because picking a text out of an array is a walk through it.
create function {schema}.append_events(
  p_tenants text[], p_streams text[], p_expected bigint[], p_counts bigint[],
  p_of_tenant text[], p_of_stream text[], p_stream_index integer[], p_nth integer[],
  p_ids uuid[], p_types text[], p_bodies json[], p_correlations text[], p_causations text[], p_headers json[],
  p_idempotent boolean,
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
  -- One lock order everywhere: the rows of streams by (tenant, stream_id), before any number.
  with bumped as (
    insert into {schema}.streams as s (tenant, stream_id, version)
    select u.tenant, u.stream, u.n
    from unnest(p_tenants, p_streams, p_counts) as u(tenant, stream, n)
    order by u.tenant collate "C", u.stream collate "C"
    on conflict (tenant, stream_id) do update set version = s.version + excluded.version
    returning s.tenant, s.stream_id, s.version
  )
  select array_agg(b.version order by u.k) into append_events.versions
  from unnest(p_tenants, p_streams) with ordinality as u(tenant, stream, k)
  join bumped b on b.tenant = u.tenant and b.stream_id = u.stream;
  if p_idempotent then
    -- The same batch may have been in flight before: whoever had it held these rows, and has ended by now.
    select a.last_seq, a.versions, a.recorded_at into last_seq, append_events.versions, append_events.recorded_at
    from {schema}.known_append(p_of_tenant, p_of_stream, p_stream_index, p_ids) a
    where a.last_seq is not null;
    if found then
      update {schema}.streams s set version = s.version - u.n
      from unnest(p_tenants, p_streams, p_counts) as u(tenant, stream, n)
      where s.tenant = u.tenant and s.stream_id = u.stream;
      repeated := true;
      return;
    end if;
    select array_agg(s.version order by u.k) into append_events.versions
    from unnest(p_tenants, p_streams) with ordinality as u(tenant, stream, k)
    cross join lateral (
      select x.version from {schema}.streams x where x.tenant = u.tenant and x.stream_id = u.stream limit 1) s;
  end if;
  for k in 1 .. cardinality(p_streams) loop
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
