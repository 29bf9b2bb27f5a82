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
grant insert (tenant, stream_id, version), update (version) on :"schema".streams to :"appender";

-- reader: reads everything, changes nothing.
grant select on all tables in schema :"schema" to :"reader";
alter default privileges in schema :"schema" grant select on tables to :"reader";

-- daemon: reads the log, writes views and progress, rings for itself. Tables of views that come later are covered as well.
grant select on all tables in schema :"schema" to :"daemon";
grant insert, update on :"schema".progress to :"daemon";
grant insert on :"schema".incarnation to :"daemon";
grant update on sequence :"schema".bell to :"daemon";
select format('grant insert, update, delete on %I.%I to %I', :'schema', p.table_name, :'daemon')
from :"schema".projections p \gexec
alter default privileges in schema :"schema" grant select, insert, update, delete on tables to :"daemon";
