-- What is known of numbers that may still become events. The order of the statements is the proof, so it must stay:
-- incarnation, bell, last number (S0), locks (S1), last number again (S2), highest visible event (H), clock. The
-- functions are volatile, so under read committed each statement inside has a snapshot of its own.

-- The token of this incarnation; a new one when a crash has emptied the table.
create function {schema}.current_incarnation() returns uuid language plpgsql volatile as $$
declare
  answer uuid;
begin
  select i.token into answer from {schema}.incarnation i;
  if not found then
    insert into {schema}.incarnation default values on conflict do nothing;
    select i.token into strict answer from {schema}.incarnation i;
  end if;
  return answer;
end $$;

-- p_arm: appends shall ring for so many milliseconds. The value always grows, so that each arming has a value of its
-- own and whoever silences can tell whether somebody armed after it; it is never lowered. p_silence: stop ringing, provided
-- that nobody has armed since this value was set. Answers with the value that was set, else null.
create function {schema}.attend_bell(p_arm bigint, p_silence bigint) returns bigint language plpgsql volatile as $$
declare
  now_ms bigint := (date_part('epoch', clock_timestamp()) * 1000)::bigint;
begin
  if p_arm is not null then
    -- The negative class is for this lock; floors use the positive one.
    perform pg_advisory_xact_lock(-{class}, 1);
    return setval('{schema}.bell'::regclass, greatest(
      coalesce(pg_sequence_last_value('{schema}.bell'::regclass), 0) + 1, now_ms + p_arm + 1500));
  elsif p_silence is not null and pg_sequence_last_value('{schema}.bell'::regclass) = p_silence then
    perform pg_advisory_xact_lock(-{class}, 1);
    if pg_sequence_last_value('{schema}.bell'::regclass) = p_silence then
      perform setval('{schema}.bell'::regclass, 1);
    end if;
  end if;
  return null;
end $$;

-- With the floors of appends in flight.
create function {schema}.high_water(
  p_arm bigint, p_silence bigint,
  out incarnation uuid, out armed bigint, out last bigint, out floors bigint[], out last_again bigint,
  out highest bigint, out at timestamptz
) language plpgsql volatile as $$
begin
  incarnation := {schema}.current_incarnation();
  if p_arm is not null or p_silence is not null then
    armed := {schema}.attend_bell(p_arm, p_silence);
  end if;
  last := coalesce(pg_sequence_last_value('{schema}.events_seq_seq'::regclass), 0);
  -- The key is the lower half of a floor that is at most 2^31 away from the last number, on either side.
  select coalesce(array_agg(distinct least(high_water.last,
      high_water.last - (((high_water.last - l.objid::bigint) << 32) >> 32))), '{}')
  into floors
  from pg_catalog.pg_locks l
  where l.locktype = 'advisory' and l.classid = {class} and l.objsubid = 2
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database());
  last_again := coalesce(pg_sequence_last_value('{schema}.events_seq_seq'::regclass), 0);
  select coalesce(max(e.seq), 0) into highest from {schema}.events e;
  at := clock_timestamp();
end $$;

-- With the transactions that hold the lock of the sequence itself, which every drawing of a number takes until the end
-- of its transaction. A local transaction id of 0 has ended already.
create function {schema}.high_water_holders(
  p_arm bigint, p_silence bigint,
  out incarnation uuid, out armed bigint, out last bigint, out holders text[], out last_again bigint,
  out highest bigint, out at timestamptz
) language plpgsql volatile as $$
begin
  incarnation := {schema}.current_incarnation();
  if p_arm is not null or p_silence is not null then
    armed := {schema}.attend_bell(p_arm, p_silence);
  end if;
  last := coalesce(pg_sequence_last_value('{schema}.events_seq_seq'::regclass), 0);
  select coalesce(array_agg(distinct l.virtualtransaction), '{}')
  into holders
  from pg_catalog.pg_locks l
  where l.locktype = 'relation' and l.relation = '{schema}.events_seq_seq'::regclass and l.mode = 'RowExclusiveLock'
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
    and l.pid is distinct from pg_backend_pid() and l.virtualtransaction not like '%/0';
  last_again := coalesce(pg_sequence_last_value('{schema}.events_seq_seq'::regclass), 0);
  select coalesce(max(e.seq), 0) into highest from {schema}.events e;
  at := clock_timestamp();
end $$;
