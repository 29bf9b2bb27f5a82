-- view_register: remembers which table holds which views, and in what columns.
-- ?1 name, ?2 version, ?3 generation, ?4 table, ?5 layout, ?6 name for plain SQL
insert into projections (name, version, generation, table_name, layout, sql_name) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (name, version, generation) do update set layout = excluded.layout, sql_name = excluded.sql_name
