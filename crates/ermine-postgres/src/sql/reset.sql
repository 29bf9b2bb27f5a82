-- reset: empties the store. Its tables are locked first, so that nobody appends between the triggers' absence and return, and
-- in the order in which batches and appends come to them; another token tells everybody that what was learnt of the log is
-- void.
do $reset$
declare
  views text;
begin
  select coalesce(string_agg(format(', %I.%I', {schema_literal}, p.table_name), '' order by p.name, p.version, p.generation), '')
  into views
  from {schema}.projections p
  where to_regclass(format('%I.%I', {schema_literal}, p.table_name)) is not null;
  execute 'lock table {schema}.progress, {schema}.dead_letters, {schema}.parked_events, {schema}.streams' || views
    || ', {schema}.events, {schema}.outbox, {schema}.wishes '
    'in access exclusive mode';
  alter table {schema}.events disable trigger ermine_no_truncate;
  execute 'truncate {schema}.events, {schema}.streams, {schema}.progress, {schema}.outbox, {schema}.dead_letters, '
    '{schema}.parked_events, {schema}.wishes' || views || ' restart identity';
  alter table {schema}.events enable always trigger ermine_no_truncate;
  delete from {schema}.incarnation;
  insert into {schema}.incarnation default values;
end $reset$
