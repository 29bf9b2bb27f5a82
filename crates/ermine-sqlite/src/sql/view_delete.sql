-- view_delete: removes a view.
-- ?1 tenant, ?2 id
delete from {table} where tenant = ?1 and id = ?2
