-- What makes the mark exact: every transaction that appends holds a shared advisory lock on (lock class, floor), where
-- the floor is the last number drawn by anybody before its own first one. Whoever lists these locks after having read
-- the last number knows that nothing at or below the lowest floor can still come.

-- Takes the floor, once per transaction or savepoint; the marker is bound to the transaction's id, so a stale one of the
-- session cannot switch the lock off. No SET clause, because it costs more than the lock: names are qualified instead.
create function {schema}.take_floor() returns trigger language plpgsql security definer as $$
declare
  xact pg_catalog.text := pg_catalog.pg_current_xact_id()::pg_catalog.text;
  held pg_catalog.text := pg_catalog.current_setting('ermine.floortx_{class}', true);
  done pg_catalog.text;
begin
  if held is null or held operator(pg_catalog.<>) xact then
    done := pg_catalog.set_config('ermine.floortx_{class}', xact, true);
    -- From the inside out: read the last number, publish it for the guard, lock. A number does not fit into a lock key,
    -- so its lower half does; whoever lists the locks restores the upper one.
    done := pg_catalog.pg_advisory_xact_lock_shared({class},
      ((pg_catalog.set_config('ermine.floor_{class}',
          coalesce(pg_catalog.pg_sequence_last_value('{schema}.events_seq_seq'::pg_catalog.regclass), 0::bigint)::pg_catalog.text,
          true)::bigint operator(pg_catalog.<<) 32) operator(pg_catalog.>>) 32)::integer);
    -- The bell is read after the lock: whoever armed it before listing locks either sees this lock or is rung for.
    if pg_catalog.pg_sequence_last_value('{schema}.bell'::pg_catalog.regclass)::double precision
        operator(pg_catalog.>) (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) operator(pg_catalog.*) 1000) then
      if coalesce(pg_catalog.current_setting('ermine.no_bell', true), '') operator(pg_catalog.<>) 'on' then
        done := pg_catalog.pg_notify('ermine_{class}', '');
      end if;
    end if;
  end if;
  return null;
end $$;
-- No WHEN: it is parsed again in every statement, which costs more than the call.
create trigger ermine_floor before insert on {schema}.events
  for each statement execute function {schema}.take_floor();
alter table {schema}.events enable always trigger ermine_floor;

-- The guard: a number is accepted only when this very transaction holds a floor below it. So a number that was not drawn
-- after the floor was taken is refused, and so is every row that came in past the statement trigger. No WHEN here either:
-- the call of a cached function is cheaper than the parsing.
create function {schema}.floor_guard() returns trigger language plpgsql as $$
begin
  if new.seq operator(pg_catalog.>) nullif(pg_catalog.current_setting('ermine.floor_{class}', true), '')::bigint
    and pg_catalog.current_setting('ermine.floortx_{class}', true)
      operator(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.text
  then
    return new;
  end if;
  raise exception 'event % is not above an append floor of this transaction (floor: %)', new.seq,
    coalesce(nullif(pg_catalog.current_setting('ermine.floor_{class}', true), ''), 'none')
    using errcode = 'EM005', hint = 'let the identity column draw the number, in the table itself';
end $$;
create trigger ermine_guard before insert on {schema}.events
  for each row execute function {schema}.floor_guard();
alter table {schema}.events enable always trigger ermine_guard;

-- A log is not emptied (numbers would be drawn again) and not renumbered.
create function {schema}.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% of %.% would break its order', lower(tg_op), tg_table_schema, tg_table_name
    using errcode = 'EM005', hint = 'delete single events if they have to go';
end $$;
create trigger ermine_no_truncate before truncate on {schema}.events
  for each statement execute function {schema}.refuse_change();
alter table {schema}.events enable always trigger ermine_no_truncate;
create trigger ermine_no_renumber before update of seq on {schema}.events
  for each row execute function {schema}.refuse_change();
alter table {schema}.events enable always trigger ermine_no_renumber;
