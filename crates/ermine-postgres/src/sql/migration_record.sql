-- migration_record: $1 number integer, $2 name text, $3 checksum uuid
insert into {schema}.migrations (number, name, checksum) values ($1, $2, $3)
