-- view_load: one view.
-- ?1 tenant, ?2 id
select version, seq, {columns} from {table} where tenant = ?1 and id = ?2
