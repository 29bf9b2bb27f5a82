-- advance_member: the progress of a part of a projection, which moves with the whole and has no epoch of its own.
-- ?1 shard, ?2 to, ?3 now
insert into progress (shard, seq, moved_at) values (?1, ?2, ?3)
on conflict (shard) do update
set moved_at = case when seq = excluded.seq then moved_at else excluded.moved_at end, seq = excluded.seq
