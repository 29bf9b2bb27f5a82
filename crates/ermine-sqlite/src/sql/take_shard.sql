-- take_shard: the next epoch of a shard, and where it stands.
-- ?1 shard, ?2 now
insert into progress (shard, epoch, moved_at) values (?1, 1, ?2)
on conflict (shard) do update set epoch = epoch + 1
returning seq, epoch
