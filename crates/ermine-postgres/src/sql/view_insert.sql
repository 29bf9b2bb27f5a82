-- view_insert: puts views where an append has read that there are none. The insert waits for whoever is inserting the same
-- one, and a view that is there after all is a conflict; refuse_view sees it, having a snapshot of its own.
-- $1 tenants text[], $2 ids text[], $3 versions bigint[], $4 seqs bigint[]; {parameters}: the rest, an array per column
with given as (
  select u.* from unnest($1, $2, $3, $4{parameters}) as u(tenant, id, _version, _seq{names})
  where current_setting('ermine.batch', true) = 'on'
), inserted as (
  insert into {schema}.{table} as v (tenant, id, {version}, {seq}{names})
  select u.tenant, u.id, u._version, u._seq{values} from given u
  on conflict (tenant, id) do nothing
  returning v.tenant, v.id
)
select {schema}.refuse_view({table_literal}, {version_literal}, u.tenant, u.id) from given u
where not exists (select from inserted i where i.tenant = u.tenant and i.id = u.id)
