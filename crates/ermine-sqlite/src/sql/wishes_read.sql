-- wishes_read: what is wanted of shards, in the order of their names.
select shard, "by", reason, since, until from wishes order by shard
