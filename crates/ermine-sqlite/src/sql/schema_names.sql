-- schema_names: everything there is, SQLite's own left out.
select name, type from sqlite_schema where name not like 'sqlite\_%' escape '\'
