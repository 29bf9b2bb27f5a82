-- take_shards: the next epoch for each of $1 shards text[].
select shard, seq, epoch from {schema}.take_shards($1)
