-- lock_classes: those of all stores in this database, out of the comments on their tables.
select substring(pg_catalog.obj_description(c.oid, 'pg_class') from '^ermine lock class ([0-9]+)$')::bigint as class
from pg_catalog.pg_class c
where c.relname = 'store' and pg_catalog.obj_description(c.oid, 'pg_class') ~ '^ermine lock class [0-9]+$'
