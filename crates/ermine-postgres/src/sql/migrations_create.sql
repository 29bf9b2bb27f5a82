-- migrations_create: the record of migrations.
create table {schema}.migrations (
  number integer primary key,
  name text not null,
  checksum uuid not null,
  applied_at timestamptz not null default clock_timestamp()
)
