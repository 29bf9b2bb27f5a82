-- Skipped events are counted, members of a shard move with it, and a shard can be placed.

alter table {schema}.progress add column skipped_events bigint not null default 0;

-- As before; p_members are the shards whose progress becomes p_to as well. They have no epoch of their own.
drop function {schema}.advance(text, bigint, bigint, bigint, uuid, bigint);
create function {schema}.advance(
  p_shard text, p_from bigint, p_to bigint, p_epoch bigint, p_incarnation uuid, p_unknown bigint,
  p_skipped bigint default 0, p_members text[] default null
) returns void language plpgsql as $$
declare
  at bigint;
  newest bigint;
begin
  if current_setting('ermine.batch', true) is distinct from 'on' then
    raise exception 'a batch of % outside of its transaction', p_shard using errcode = '40001';
  end if;
  perform from {schema}.incarnation i where i.token = p_incarnation;
  if not found then
    raise exception 'the store has restarted from a crash' using errcode = 'EM006';
  end if;
  if p_members is not null then
    -- The rows of progress by name, as whoever takes shards locks them.
    perform from {schema}.progress p where p.shard = any(p_members || p_shard) order by p.shard for no key update;
  end if;
  update {schema}.progress p
  set seq = p_to, unknown_events = p.unknown_events + p_unknown, skipped_events = p.skipped_events + p_skipped,
    moved_at = case when p_to > p_from then clock_timestamp() else p.moved_at end
  where p.shard = p_shard and p.seq = p_from and p.epoch = p_epoch;
  if found then
    if p_members is not null then
      insert into {schema}.progress as p (shard, seq)
      select distinct u.shard collate "C", p_to from unnest(p_members) as u(shard) order by 1
      on conflict (shard) do update set seq = excluded.seq, moved_at = clock_timestamp()
      where p.seq <> excluded.seq;
    end if;
    return;
  end if;
  select p.seq, p.epoch into at, newest from {schema}.progress p where p.shard = p_shard;
  if newest is distinct from p_epoch then
    raise exception 'shard % was taken over: epoch % has replaced epoch %', p_shard, coalesce(newest, 0), p_epoch
      using errcode = 'EM001', detail = json_build_object('epoch', coalesce(newest, 0))::text;
  end if;
  raise exception 'progress of shard % is %, and this batch starts at %', p_shard, at, p_from
    using errcode = 'EM002', detail = json_build_object('at', at)::text;
end $$;
