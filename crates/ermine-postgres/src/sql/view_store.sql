-- view_store: puts views in place of whatever is there.
-- $1 tenants text[], $2 ids text[], $3 bodies jsonb[], $4 versions bigint[], $5 seqs bigint[]
insert into {schema}.{table} (tenant, id, data, version, seq)
select u.tenant, u.id, u.data, u.version, u.seq
from unnest($1, $2, $3, $4, $5) as u(tenant, id, data, version, seq)
where current_setting('ermine.batch', true) = 'on'
on conflict (tenant, id) do update
set data = excluded.data, version = excluded.version, seq = excluded.seq, updated_at = excluded.updated_at
