-- Three roles with no more than they need, for a store that another role has migrated. Run it as that other role, once:
--
--   psql -v schema=ermine -v appender=app -v reader=reports -v daemon=projector -f roles.sql
--
-- The roles must exist. Nobody but the owner of the store may change the numbering, disable a trigger or empty the log.

grant usage on schema :"schema" to :"appender", :"reader", :"daemon";

-- Everybody may look whether the store keeps its promises.
grant select on :"schema".store, :"schema".migrations, :"schema".progress, :"schema".projections, :"schema".incarnation
  to :"appender", :"reader", :"daemon";
grant select on sequence :"schema".events_seq_seq, :"schema".bell to :"appender", :"reader", :"daemon";

-- appender: appends, through the functions or with an INSERT of its own. The number and the time are not its to give.
grant select on :"schema".events, :"schema".streams to :"appender";
grant insert (tenant, stream_id, version, id, type, data, correlation, causation, headers) on :"schema".events to :"appender";
grant insert (tenant, stream_id, version, type), update (version, type, archived) on :"schema".streams to :"appender";
-- With inline projections it also reads and writes views: grant select, insert, update and delete on their tables, one by
-- one, or make it a member of the daemon's role.

-- reader: reads everything, changes nothing.
grant select on all tables in schema :"schema" to :"reader";
alter default privileges in schema :"schema" grant select on tables to :"reader";

-- daemon: reads the log, writes views, progress, messages, dead letters and wishes, marks events as skipped, rings for itself.
-- Tables of views that come later are covered as well. Where projections append events, make it a member of the appender's
-- role. Whoever decides about dead letters or has shards stand still needs no more than the last two tables to write to.
grant select on all tables in schema :"schema" to :"daemon";
grant insert, update on :"schema".progress, :"schema".outbox to :"daemon";
grant usage on sequence :"schema".outbox_position_seq to :"daemon";
grant insert, update, delete on :"schema".parked_events, :"schema".dead_letters, :"schema".wishes to :"daemon";
grant update (skipped) on :"schema".events to :"daemon";
grant insert on :"schema".incarnation to :"daemon";
grant update on sequence :"schema".bell to :"daemon";
select format('grant insert, update, delete on %I.%I to %I', :'schema', p.table_name, :'daemon')
from :"schema".projections p \gexec
alter default privileges in schema :"schema" grant select, insert, update, delete on tables to :"daemon";
