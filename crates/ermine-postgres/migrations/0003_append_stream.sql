-- Appending to one stream: the frequent case, kept as short as it can be.

-- Refuses an append that found its stream at another version.
create function {schema}.refuse_version(p_tenant text, p_stream text, p_actual bigint, p_expected bigint)
returns void language plpgsql as $$
begin
  raise exception 'stream "%" is at version %, and this append expected version %', p_stream, p_actual, p_expected
    using errcode = 'EM003',
      detail = json_build_object('tenant', p_tenant, 'stream', p_stream, 'actual', p_actual)::text;
end $$;

-- p_expected: null appends after whatever is there, 0 wants a stream without events. The version is checked under the
-- lock of the stream's row, before a number is drawn, so a conflict burns none.
create function {schema}.append_stream(
  p_tenant text, p_stream text, p_expected bigint, p_ids uuid[], p_types text[], p_bodies json[],
  out last_seq bigint, out version bigint, out recorded_at timestamptz
) language plpgsql as $$
declare
  n integer := cardinality(p_ids);
begin
  if p_expected is null then
    insert into {schema}.streams as s (tenant, stream_id, version) values (p_tenant, p_stream, n)
    on conflict (tenant, stream_id) do update set version = s.version + n
    returning s.version into append_stream.version;
  elsif p_expected = 0 then
    insert into {schema}.streams as s (tenant, stream_id, version) values (p_tenant, p_stream, n)
    on conflict (tenant, stream_id) do nothing
    returning s.version into append_stream.version;
  else
    update {schema}.streams s set version = s.version + n
    where s.tenant = p_tenant and s.stream_id = p_stream and s.version = p_expected
    returning s.version into append_stream.version;
  end if;
  if append_stream.version is null then
    perform {schema}.refuse_version(p_tenant, p_stream, coalesce(
      (select s.version from {schema}.streams s where s.tenant = p_tenant and s.stream_id = p_stream), 0), p_expected);
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

-- append: the same for people and for other programs, from SQL.
create function {schema}.append(
  stream text, expected bigint, types text[], bodies json[], tenant text default ''
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
  select * into answer from {schema}.append_stream(
    append.tenant, append.stream, append.expected,
    array(select gen_random_uuid() from generate_series(1, cardinality(types))), types, bodies);
  return answer.last_seq;
end $$;
comment on function {schema}.append(text, bigint, text[], json[], text) is
  'Appends events to a stream and answers with the number of the last one. expected: the version that the stream must have, 0 for a new stream, null for any. A conflict raises EM003 with tenant, stream and actual version as JSON in the detail.';
