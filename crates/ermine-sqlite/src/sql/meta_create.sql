-- meta_create: the one row of a new store.
-- ?1 token, ?2 boot, ?3 now
insert into meta (only_row, token, boot, created_at) values (1, ?1, ?2, ?3)
