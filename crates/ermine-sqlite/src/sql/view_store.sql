-- view_store: puts a view in place of the one of its key. Not "or replace": that would remove any other view that stands in
-- the way of a unique index.
-- ?1 tenant, ?2 id, ?3 version, ?4 seq, then the columns
insert into {table} (tenant, id, version, seq, {columns}) values (?1, ?2, ?3, ?4, {values})
on conflict (tenant, id) do update set version = excluded.version, seq = excluded.seq, {changes}
