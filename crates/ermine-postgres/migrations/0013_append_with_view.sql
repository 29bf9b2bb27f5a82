-- An append that changes one view, in one statement: the statement of the view's table stands between two functions, and
-- each needs what the one before it answers. So the one order of locks is kept: the row of the stream, the view, numbers.

-- The key of the lock of a view that is not there. Views share a limited number of keys, so that an append of any size
-- finds room in the table of locks.
create function {schema}.absent_key(p_table text, p_tenant text, p_id text) returns integer language sql stable as $$
  select 2 + (hashtext(concat_ws(' ', p_table, p_tenant, p_id)) & 4095)
$$;

-- As before, with the key out of absent_key.
create or replace function {schema}.lock_absent(p_tables text[], p_tenants text[], p_ids text[]) returns void
language plpgsql as $$
declare
  lock_key integer;
begin
  for lock_key in
    select distinct {schema}.absent_key(u.view_table, u.tenant, u.id)
    from unnest(p_tables, p_tenants, p_ids) as u(view_table, tenant, id)
    order by 1
  loop
    perform pg_advisory_xact_lock(-{class}, lock_key);
  end loop;
end $$;

-- Everything that can be said of the stream, as append_stream says it, and its new version. p_absent: the key of a view
-- that was read to be absent, else null; it is locked as lock_absent does, because others may have read the same and write
-- nothing that would meet.
create function {schema}.open_append(
  p_tenant text, p_stream text, p_expected bigint, p_count integer, p_stream_type text, p_absent integer
) returns bigint language plpgsql as $$
declare
  new_version bigint;
  locked text;
begin
  if p_expected > 0 then
    update {schema}.streams s set version = s.version + p_count
    where s.tenant = p_tenant and s.stream_id = p_stream and s.version = p_expected and not s.archived
    returning s.version into new_version;
  else
    insert into {schema}.streams as s (tenant, stream_id, version, type)
    values (p_tenant, p_stream, p_count, p_stream_type)
    on conflict (tenant, stream_id) do update
    set version = s.version + p_count, type = case s.version when 0 then excluded.type else s.type end
    where not s.archived and (p_expected is null or s.version = 0)
    returning s.version into new_version;
  end if;
  if new_version is null then
    perform {schema}.refuse_append(p_tenant, p_stream, p_expected);
  end if;
  if p_absent is not null then
    locked := pg_advisory_xact_lock(-{class}, p_absent);
  end if;
  return new_version;
end $$;

-- The events, once the view is written: p_written says in how many rows, and where there is none the view was not as it had
-- been read. Nothing can fail to agree any more when the numbers are drawn, so a conflict burns none. Answers the last of
-- them.
create function {schema}.close_append(
  p_written bigint, p_table text, p_version_column text, p_view_tenant text, p_view_id text,
  p_tenant text, p_stream text, p_version bigint, p_ids uuid[], p_types text[], p_bodies json[]
) returns bigint language plpgsql as $$
declare
  n integer := cardinality(p_ids);
  last_seq bigint;
begin
  if p_written <> 1 then
    perform {schema}.refuse_view(p_table, p_version_column, p_view_tenant, p_view_id);
  end if;
  if n = 1 then
    insert into {schema}.events as e (tenant, stream_id, version, id, type, data)
    values (p_tenant, p_stream, p_version, p_ids[1], p_types[1], p_bodies[1])
    returning e.seq into last_seq;
  else
    with inserted as (
      insert into {schema}.events as e (tenant, stream_id, version, id, type, data)
      select p_tenant, p_stream, p_version - n + u.nth, u.id, u.type, u.body
      from unnest(p_ids, p_types, p_bodies) with ordinality as u(id, type, body, nth)
      order by u.nth
      returning e.seq
    )
    select max(i.seq) into last_seq from inserted i;
  end if;
  return last_seq;
end $$;
