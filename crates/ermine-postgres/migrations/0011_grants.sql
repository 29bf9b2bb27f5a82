-- Whoever could append, read and commit before still can: the functions run with the rights of their caller, and write columns
-- and tables that are new. What a role gets follows from what it had. A privilege on a whole table covers new columns.
do $grants$
declare
  given record;
begin
  for given in
    with held as (
      select c.relname, a.attname, x.grantee, x.privilege_type
      from pg_catalog.pg_class c
      join pg_catalog.pg_attribute a on a.attrelid = c.oid
      cross join lateral pg_catalog.aclexplode(a.attacl) x
      where c.relnamespace = (select n.oid from pg_catalog.pg_namespace n where n.nspname = {schema_literal})
      union all
      select c.relname, null, x.grantee, x.privilege_type
      from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) x
      where c.relnamespace = (select n.oid from pg_catalog.pg_namespace n where n.nspname = {schema_literal})
    ), follows (relname, attname, privilege_type, more) as (
      values
        ('streams', 'version', 'SELECT', 'select (type, archived) on {schema}.streams'),
        ('streams', 'version', 'INSERT', 'insert (type) on {schema}.streams'),
        ('streams', 'version', 'UPDATE', 'update (type, archived) on {schema}.streams'),
        ('events', 'type', 'SELECT', 'select (skipped) on {schema}.events'),
        ('progress', 'unknown_events', 'SELECT', 'select (skipped_events) on {schema}.progress'),
        ('progress', 'unknown_events', 'UPDATE', 'update (skipped_events) on {schema}.progress'),
        -- Whoever commits also publishes, delivers, and marks events as skipped.
        ('progress', 'seq', 'UPDATE', 'update (skipped) on {schema}.events'),
        ('progress', null, 'UPDATE', 'update (skipped) on {schema}.events'),
        ('progress', 'seq', 'UPDATE', 'select, insert, update on {schema}.outbox'),
        ('progress', null, 'UPDATE', 'select, insert, update on {schema}.outbox'),
        ('progress', 'seq', 'UPDATE', 'usage on sequence {schema}.outbox_position_seq'),
        ('progress', null, 'UPDATE', 'usage on sequence {schema}.outbox_position_seq')
    )
    select f.more, case h.grantee when 0 then 'public' else h.grantee::pg_catalog.regrole::text end as grantee
    from held h
    join follows f on f.relname = h.relname and f.privilege_type = h.privilege_type and f.attname is not distinct from h.attname
  loop
    execute format('grant %s to %s', given.more, given.grantee);
  end loop;
end $grants$;
