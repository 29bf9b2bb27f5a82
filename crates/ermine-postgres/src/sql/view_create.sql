-- view_create: the table for the views of one generation of one version of a projection.
-- {columns}: what holds a view; {version}, {seq}, {updated_at}: what is kept of each.
create table {schema}.{table} (
  tenant text collate "C" not null default '',
  id text collate "C" not null,
{columns}
  {version} bigint not null,
  {seq} bigint not null,
  {updated_at} timestamptz not null default now(),
  primary key (tenant, id)
)
