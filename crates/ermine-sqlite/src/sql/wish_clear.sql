-- wish_clear: undoes what is wanted of a shard.
-- ?1 shard
delete from wishes where shard = ?1
