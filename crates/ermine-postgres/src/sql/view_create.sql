-- view_create: the table for the views of one generation of one version of a projection.
create table {schema}.{table} (
  tenant text collate "C" not null default '',
  id text collate "C" not null,
  data jsonb not null,
  version bigint not null,
  seq bigint not null,
  updated_at timestamptz not null default now(),
  primary key (tenant, id)
)
