-- advance: moves progress; the time only when it does move.
-- ?1 shard, ?2 to, ?3 unknown events, ?4 skipped events, ?5 now
update progress
set moved_at = case when seq = ?2 then moved_at else ?5 end, seq = ?2,
  unknown_events = unknown_events + ?3, skipped_events = skipped_events + ?4
where shard = ?1
