-- view_version: what a pin is compared with.
-- ?1 tenant, ?2 id
select version from {table} where tenant = ?1 and id = ?2
