-- view_scan: views in the bytewise order of their ids. {narrow} leaves out views that cannot be meant; whether the others are
-- is decided by whoever reads them. {index} is named, because without statistics SQLite takes a tenant for few views and
-- prefers the order of the ids.
-- ?1 tenant, ?2 after, ?3 limit, ?4 offset, then what the views are narrowed to
select version, seq, {columns}, id from {table}{index}
where tenant = ?1 and id > ?2{narrow} order by id limit ?3 offset ?4
