-- view_store: puts views in place of whatever is there.
-- $1 tenants text[], $2 ids text[], $3 versions bigint[], $4 seqs bigint[]; {parameters}: the rest, an array per column
insert into {schema}.{table} (tenant, id, {version}, {seq}{names})
select u.tenant, u.id, u._version, u._seq{values}
from unnest($1, $2, $3, $4{parameters}) as u(tenant, id, _version, _seq{names})
where current_setting('ermine.batch', true) = 'on'
on conflict (tenant, id) do update
set {version} = excluded.{version}, {seq} = excluded.{seq}, {updated_at} = excluded.{updated_at}{sets}
