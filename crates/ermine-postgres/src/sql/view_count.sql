-- view_count: how many views of a tenant match.
-- $1 tenant text, and what the filter compares with
select count(*) from {schema}.{table} v where v.tenant = $1 and {filter}
