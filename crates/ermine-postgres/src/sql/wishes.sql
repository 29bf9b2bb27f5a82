-- wishes: what is wanted of shards.
select shard, by, reason, since, until from {schema}.wishes order by shard
