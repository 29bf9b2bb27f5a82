-- Taking shards and moving their progress.

-- Takes shards: each gets the next epoch, and only that one may commit from now on. Waits for commits in flight; the
-- answer is where the taker has to start.
create function {schema}.take_shards(p_shards text[])
returns table (shard text, seq bigint, epoch bigint) language plpgsql as $$
#variable_conflict use_column
begin
  insert into {schema}.progress (shard)
  select distinct u.shard collate "C" from unnest(p_shards) as u(shard) order by 1
  on conflict (shard) do nothing;
  perform from {schema}.progress p where p.shard = any(p_shards) order by p.shard for no key update;
  return query
    with taken as (
      update {schema}.progress p set epoch = p.epoch + 1 where p.shard = any(p_shards)
      returning p.shard, p.seq, p.epoch
    )
    select t.shard::text, t.seq, t.epoch
    from unnest(p_shards) with ordinality as u(shard, place) join taken t on t.shard = u.shard
    order by u.place;
end $$;

-- Moves progress from p_from to p_to, or raises; so it may be sent together with what it covers and with the COMMIT,
-- which then becomes a ROLLBACK. It insists on the mark that the batch's BEGIN leaves behind: had that BEGIN failed,
-- every statement after it would commit on its own.
create function {schema}.advance(
  p_shard text, p_from bigint, p_to bigint, p_epoch bigint, p_incarnation uuid, p_unknown bigint
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
  update {schema}.progress p
  set seq = p_to, unknown_events = p.unknown_events + p_unknown,
    moved_at = case when p_to > p_from then clock_timestamp() else p.moved_at end
  where p.shard = p_shard and p.seq = p_from and p.epoch = p_epoch;
  if found then
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
