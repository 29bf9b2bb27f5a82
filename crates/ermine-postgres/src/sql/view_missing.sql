-- view_missing: which of the tables $1 text[] are not there.
select u.name from unnest($1) with ordinality as u(name, place)
where not exists (
  select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = {schema_literal} and c.relname = u.name and c.relkind in ('r', 'p'))
order by u.place
