use std::iter;

use ermine_core::{
    Epoch, Error, ErrorKind, Operation, Progress, Result, Seq, ShardBatch, ShardName, TakenShard, Timestamp,
};

use super::{Data, Row, State, Turn, TxId, letters::rows_of_changed_letters, operations::rows_of_operation};

impl State {
    /// Looks whether a batch may be committed, and keeps its changes until the transaction ends.
    pub(crate) fn stage_shard(
        &mut self,
        tx: TxId,
        batch: &ShardBatch,
        refused: Option<&Operation>,
    ) -> Turn<Result<()>> {
        let turn = self.stage_free_shard(tx, batch, refused);
        let Turn::Done(Ok(())) = turn else { return turn };
        let rows: Vec<Row> = rows_of_shard(batch).chain(rows_of_changes(&self.data, batch)).collect();
        Turn::Done(self.hold(tx, rows.into_iter()))
    }

    /// Both at once: nobody sees the transaction open.
    pub(crate) fn stage_and_commit_shard(
        &mut self,
        tx: TxId,
        batch: &ShardBatch,
        refused: Option<&Operation>,
    ) -> Turn<Result<()>> {
        let turn = self.stage_free_shard(tx, batch, refused);
        let Turn::Done(Ok(())) = turn else { return turn };
        Turn::Done(self.commit(tx))
    }

    fn stage_free_shard(
        &mut self,
        tx: TxId,
        batch: &ShardBatch,
        refused: Option<&Operation>,
    ) -> Turn<Result<()>> {
        if self.is_blocked(tx, rows_of_shard(batch)) {
            return Turn::Blocked;
        }
        // A batch that was fenced off is told so, whoever holds what it would change.
        if let Err(error) = self.data.admit(batch) {
            return Turn::Done(Err(error));
        }
        if self.is_blocked(tx, rows_of_changes(&self.data, batch)) {
            return Turn::Blocked;
        }
        if let Some(operation) = refused {
            return Turn::Done(Err(rejected(batch, operation)));
        }
        Turn::Done(self.operate(tx, &batch.operations).and_then(|()| self.advance(tx, batch)))
    }

    /// Moves progress of the batch's shard and of its members, past the events that it has refused.
    fn advance(&mut self, tx: TxId, batch: &ShardBatch) -> Result<()> {
        let now = self.clock.now();
        self.change(tx, |data, staged, _| {
            Data::stage_letters(staged, batch);
            let mut mine = data.progress_of(&batch.shard, now);
            mine.move_to(batch.to, now);
            mine.unknown_events += batch.unknown_events;
            mine.skipped_events += batch.skipped_events;
            staged.progress.push(mine);
            for member in &batch.members {
                let mut theirs = data.progress_of(member, now);
                theirs.move_to(batch.to, now);
                staged.progress.push(theirs);
            }
            Ok(())
        })
    }

    pub(crate) fn take_shards(&mut self, tx: TxId, shards: &[ShardName]) -> Turn<Result<Vec<TakenShard>>> {
        if self.is_blocked(tx, shards.iter().cloned().map(Row::Shard)) {
            return Turn::Blocked;
        }
        let taken = shards.iter().map(|shard| self.take(tx, shard, None)).collect::<Result<_>>();
        Turn::Done(taken.and_then(|taken| self.commit(tx).map(|()| taken)))
    }

    pub(crate) fn place_shard(&mut self, tx: TxId, shard: &ShardName, seq: Seq) -> Turn<Result<TakenShard>> {
        if self.is_blocked(tx, iter::once(Row::Shard(shard.clone()))) {
            return Turn::Blocked;
        }
        let placed = self.take(tx, shard, Some(seq));
        Turn::Done(placed.and_then(|placed| self.commit(tx).map(|()| placed)))
    }

    fn take(&mut self, tx: TxId, shard: &ShardName, to: Option<Seq>) -> Result<TakenShard> {
        let now = self.clock.now();
        self.change(tx, |data, staged, _| {
            let mut progress = data.progress_of(shard, now);
            progress.epoch.0 += 1;
            if let Some(to) = to {
                progress.move_to(to, now);
            }
            let taken = TakenShard { shard: shard.clone(), seq: progress.seq, epoch: progress.epoch };
            staged.progress.push(progress);
            Ok(taken)
        })
    }

    /// In the order of the shards' names.
    pub(crate) fn read_progress(&self) -> Vec<Progress> {
        self.data.progress.values().cloned().collect()
    }
}

trait MoveTo {
    fn move_to(&mut self, seq: Seq, now: Timestamp);
}

impl MoveTo for Progress {
    fn move_to(&mut self, seq: Seq, now: Timestamp) {
        if self.seq != seq {
            self.seq = seq;
            self.moved_at = now;
        }
    }
}

impl Data {
    fn admit(&self, batch: &ShardBatch) -> Result<()> {
        if batch.incarnation != self.incarnation {
            return Err(Error::rewound());
        }
        let stored = self.progress.get(&batch.shard);
        let (newest, at) = stored.map_or((Epoch::default(), Seq::ZERO), |stored| (stored.epoch, stored.seq));
        if stored.is_none() || newest != batch.epoch {
            return Err(Error::fenced(&batch.shard, batch.epoch, newest));
        }
        if at != batch.from {
            return Err(Error::out_of_order(&batch.shard, batch.from, at));
        }
        if batch.to < batch.from {
            return Err(Error::configuration(format!(
                "a batch of shard {} would move progress back from {} to {}",
                batch.shard, batch.from, batch.to
            )));
        }
        Ok(())
    }

    /// Progress of a shard, which begins now if it never has.
    fn progress_of(&self, shard: &ShardName, now: Timestamp) -> Progress {
        self.progress.get(shard).cloned().unwrap_or_else(|| Progress {
            shard: shard.clone(),
            seq: Seq::ZERO,
            epoch: Epoch::default(),
            unknown_events: 0,
            skipped_events: 0,
            moved_at: now,
        })
    }
}

fn rows_of_shard(batch: &ShardBatch) -> impl Iterator<Item = Row> + '_ {
    iter::once(&batch.shard).chain(&batch.members).cloned().map(Row::Shard)
}

fn rows_of_changes<'b>(data: &'b Data, batch: &'b ShardBatch) -> impl Iterator<Item = Row> + 'b {
    let operations = batch.operations.iter().flat_map(|operation| rows_of_operation(data, operation));
    operations.chain(rows_of_changed_letters(batch))
}

fn rejected(batch: &ShardBatch, operation: &Operation) -> Error {
    let what = match operation.view() {
        Some((table, key)) => format!("view \"{}\" of {table}", key.id),
        None => format!("an operation of shard {}", batch.shard),
    };
    Error::new(ErrorKind::Rejected, format!("the store refuses {what}: a refusal was asked for"))
}
