-- view_register: remembers which table holds which views; it may be known from a table that somebody has dropped.
-- $1 name text, $2 version bigint, $3 generation bigint, $4 table text
insert into {schema}.projections (name, version, generation, table_name) values ($1, $2, $3, $4)
on conflict (name, version, generation) do nothing
