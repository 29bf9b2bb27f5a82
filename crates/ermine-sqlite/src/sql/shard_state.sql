-- shard_state: what a batch is compared with; progress is null for a shard that nobody has taken.
-- ?1 shard
select m.token, p.seq, p.epoch from meta m left join progress p on p.shard = ?1
