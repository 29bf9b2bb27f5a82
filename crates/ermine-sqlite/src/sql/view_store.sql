-- view_store: puts a view in place of whatever is there.
-- ?1 tenant, ?2 id, ?3 version, ?4 seq, then the columns
insert or replace into {table} (tenant, id, version, seq, {columns}) values (?1, ?2, ?3, ?4, {values})
