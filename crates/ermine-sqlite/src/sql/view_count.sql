-- view_count: how many views a tenant has.
-- ?1 tenant
select count(*) from {table} where tenant = ?1
