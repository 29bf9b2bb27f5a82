-- view_create: the table for the views of one generation of one version of a projection.
create table {table} (
  tenant text not null,
  id text not null,
  version integer not null,
  seq integer not null,
  {definitions},
  primary key (tenant, id)
) strict, without rowid
