//! Every metric's name, in one place.

use ermine_core::{Seq, ShardName};
use metrics::{counter, gauge};

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub(crate) fn committed(shard: &ShardName, events: usize, operations: usize, progress: Seq) {
    let shard = shard.to_string();
    counter!("ermine_shard_events_total", "shard" => shard.clone()).increment(events as u64);
    counter!("ermine_shard_operations_total", "shard" => shard.clone()).increment(operations as u64);
    counter!("ermine_shard_commits_total", "shard" => shard.clone()).increment(1);
    gauge!("ermine_shard_progress_seq", "shard" => shard).set(progress.get() as f64);
}

pub(crate) fn lettered(shard: &ShardName, letters: u64) {
    if letters > 0 {
        counter!("ermine_shard_dead_letters_total", "shard" => shard.to_string()).increment(letters);
    }
}

pub(crate) fn stalled(shard: &ShardName) {
    counter!("ermine_shard_stalls_total", "shard" => shard.to_string()).increment(1);
}

pub(crate) fn restarted(task: &'static str) {
    counter!("ermine_task_restarts_total", "task" => task).increment(1);
}

pub(crate) fn failed(shard: &ShardName) {
    counter!("ermine_shard_failures_total", "shard" => shard.to_string()).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
pub(crate) fn observed(mark: Seq) {
    counter!("ermine_highwater_observations_total").increment(1);
    gauge!("ermine_highwater_mark_seq").set(mark.get() as f64);
}

pub(crate) fn skipped_late(events: u64) {
    counter!("ermine_highwater_skipped_late_events_total").increment(events);
}

pub(crate) fn skipped(numbers: u64) {
    counter!("ermine_highwater_skipped_total").increment(numbers);
}
