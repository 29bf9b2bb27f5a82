-- view_relations: what there is under some names, each with its columns in their order.
-- $1 names text[]
select c.relname::text, c.relkind::text, coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''),
  a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where n.nspname = {schema_literal} and c.relname = any($1)
order by c.relname, a.attnum
