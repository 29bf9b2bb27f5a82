-- store_state: whether there is a schema and a store in it, and whether this role could make them.
select exists (select from pg_catalog.pg_namespace n where n.nspname = {schema_literal}) as schema_there,
  to_regclass('{schema}.migrations') is not null as migrations_there,
  has_database_privilege(current_database(), 'create') as may_create,
  current_user::text as role
