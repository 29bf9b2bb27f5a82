-- migrations_create: the record of migrations.
create table if not exists migrations (
  number integer primary key,
  name text not null,
  checksum blob not null,
  applied_at integer not null
) strict
