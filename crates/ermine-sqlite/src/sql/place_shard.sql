-- place_shard: the next epoch of a shard, and where it stands from now on.
-- ?1 shard, ?2 now, ?3 number
insert into progress (shard, epoch, moved_at, seq) values (?1, 1, ?2, ?3)
on conflict (shard) do update
set epoch = epoch + 1, moved_at = case when seq = excluded.seq then moved_at else excluded.moved_at end, seq = excluded.seq
returning seq, epoch
