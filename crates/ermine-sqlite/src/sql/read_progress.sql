-- read_progress: how far every shard has committed.
select shard, seq, epoch, unknown_events, skipped_events, moved_at from progress
