-- view_delete: removes views.
-- $1 tenants text[], $2 ids text[]
delete from {schema}.{table} v
using unnest($1, $2) as u(tenant, id)
where v.tenant = u.tenant and v.id = u.id and current_setting('ermine.batch', true) = 'on'
