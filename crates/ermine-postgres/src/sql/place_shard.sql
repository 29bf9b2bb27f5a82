-- place_shard: the next epoch for a shard, and a place of its own; waits for a commit in flight.
-- $1 shard text, $2 seq bigint
insert into {schema}.progress as p (shard, seq, epoch) values ($1, $2, 1)
on conflict (shard) do update set seq = excluded.seq, epoch = p.epoch + 1, moved_at = clock_timestamp()
returning shard, seq, epoch
