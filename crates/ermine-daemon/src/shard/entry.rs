//! How a worker gets hold of its shard, and where it starts.

use std::collections::HashSet;

use ermine_core::{
    Epoch, Error, LogPoint, ParkKey, Progress, Result, Seq, ShardBatch, ShardName, Start, TakenShard,
    Timestamp,
};

use super::{Mode, answer, worker::Worker};
use crate::{Mark, registry::Work};

/// The epoch of a shard that has been taken once.
const FIRST_EPOCH: Epoch = Epoch(1);

/// What a worker knows of its shard from one life of the pipeline to the next.
#[derive(Debug, Default)]
pub(super) struct Hold {
    pub(super) epoch: Option<Epoch>,
    /// Where the shard is to start, as long as it has not been moved there: it may be taken already, and then nothing stored
    /// says that it has to be.
    pub(super) start: Option<Seq>,
}

impl Worker {
    /// Behind what events of this shard wait.
    pub(super) async fn waiting(&self) -> Result<HashSet<ParkKey>> {
        let Some(letters) = self.store.dead_letters() else { return Ok(HashSet::new()) };
        let doing = || format!("reading what waits behind dead letters of shard {}", self.shard.name);
        let keys = letters.parked_keys(&self.shard.name);
        let keys = answer(self.settings.call_deadline, doing, keys).await?;
        Ok(keys.into_iter().map(|(key, _)| key).collect())
    }

    /// Above which number events may have effects. Where an older version of the projection has been, it has raised the
    /// effects already.
    pub(super) async fn effects_above(&self) -> Result<Option<Seq>> {
        if matches!(self.mode, Mode::Rebuild { .. }) {
            return Ok(None);
        }
        if self.shard.name.version() == 1 {
            return Ok(Some(Seq::ZERO));
        }
        let older = |p: &Progress| {
            let (mine, other) = (&self.shard.name, &p.shard);
            other.projection() == mine.projection()
                && other.version() < mine.version()
                && (other.key(), other.tenant()) == (mine.key(), mine.tenant())
        };
        let all = self.all_progress().await?;
        Ok(Some(all.iter().filter(|p| older(p)).map(|p| p.seq).max().unwrap_or_default()))
    }

    /// Where to start. The first time the shard is taken; later its epoch is only compared, so that a worker that was
    /// fenced off meanwhile does not fence off its successor in turn.
    pub(super) async fn enter(&self, hold: &mut Hold, mark: Mark) -> Result<Option<Seq>> {
        self.check_members().await?;
        if let Some(mine) = hold.epoch
            && let Some(stored) = self.stored().await?
        {
            if stored.epoch == mine {
                return Ok(Some(stored.seq));
            }
            if stored.epoch > mine {
                return Err(Error::fenced(&self.shard.name, mine, stored.epoch));
            }
            // A lower epoch: the store has lost our taking of the shard in a crash.
        }
        let wanted = match hold.start {
            Some(missed) => Some(missed),
            None => self.wanted_start(mark).await?,
        };
        if wanted.is_some_and(|wanted| self.mode.is_finished(wanted) && self.mode.limit(wanted) < wanted) {
            return Ok(None); // a run that ends has nothing to do below its start
        }
        hold.start = wanted;
        let taken = self.take().await?;
        let position = match wanted {
            Some(wanted) if taken.seq < wanted => self.move_up(&taken, wanted, mark).await?,
            _ => taken.seq,
        };
        *hold = Hold { epoch: Some(taken.epoch), start: None };
        Ok(Some(position))
    }

    /// The members of a composite have views of their own, which are as far as their progress says: a member that is elsewhere
    /// would be given events twice, or never.
    pub(super) async fn check_members(&self) -> Result<()> {
        if self.shard.members.is_empty() {
            return Ok(());
        }
        let all = self.all_progress().await?;
        let at =
            |shard: &ShardName| all.iter().find(|p| p.shard == *shard).map(|p| p.seq).unwrap_or_default();
        let own = at(&self.shard.name);
        match self.shard.members.iter().find(|member| at(member) != own) {
            None => Ok(()),
            Some(member) => Err(Error::configuration(format!(
                "composite {} is at {own}, and its member {member} is at {}: what is new in a composite, or comes from \
                 elsewhere, needs a new version, and so do the composite and its other members",
                self.shard.name,
                at(member)
            ))),
        }
    }

    /// Where the shard is to start at least, if anywhere but where it is.
    pub(super) async fn wanted_start(&self, mark: Mark) -> Result<Option<Seq>> {
        Ok(match self.shard.start {
            Start::Present => match self.stored().await? {
                None => Some(mark.seq),
                Some(stored) if self.is_not_started(&stored) => {
                    Some(self.before_first_since(stored.moved_at, mark).await?)
                }
                Some(_) => None,
            },
            Start::After(seq) => Some(seq),
            Start::Since(moment) => Some(self.before_first_since(moment, mark).await?),
            _ => None,
        })
    }

    /// Whether somebody has taken the shard who may not have got to move it up. A subscription may have been put there since.
    pub(super) fn is_not_started(&self, stored: &Progress) -> bool {
        stored.seq == Seq::ZERO && (stored.epoch == FIRST_EPOCH || matches!(self.shard.work, Work::Stages(_)))
    }

    /// The place before the first event since `moment`; the mark if there is none.
    pub(super) async fn before_first_since(&self, moment: Timestamp, mark: Mark) -> Result<Seq> {
        let doing = || format!("looking for the first event since {moment} for shard {}", self.shard.name);
        let first = self.store.locate(LogPoint::Since(moment));
        let first = answer(self.settings.call_deadline, doing, first).await?;
        Ok(first.map_or(mark.seq, |entry| entry.seq.previous()))
    }

    /// Passes what lies before the start, as a batch without changes: should somebody else have taken the shard meanwhile,
    /// it is refused.
    pub(super) async fn move_up(&self, taken: &TakenShard, wanted: Seq, mark: Mark) -> Result<Seq> {
        // Progress above the mark would look as if the log had been set back.
        let mut marks = self.marks.clone();
        let reached = |at: &Option<Mark>| at.is_some_and(|at| at.seq >= wanted);
        marks.wait_for(reached).await.map_err(|_| Error::transient("waiting for the mark"))?;
        let mut batch =
            ShardBatch::new(self.shard.name.clone(), taken.epoch, mark.incarnation, taken.seq, wanted);
        batch.members.clone_from(&self.shard.members);
        let doing = || format!("moving shard {} up to {wanted}, where it starts", self.shard.name);
        answer(self.settings.call_deadline, doing, self.store.commit(batch)).await?;
        Ok(wanted)
    }

    pub(super) async fn take(&self) -> Result<TakenShard> {
        let doing = || format!("taking shard {}", self.shard.name);
        let taken = self.store.take_shards(std::slice::from_ref(&self.shard.name));
        let taken = answer(self.settings.call_deadline, doing, taken).await?;
        taken
            .into_iter()
            .next()
            .ok_or_else(|| Error::fatal(format!("the store gave no answer for shard {}", self.shard.name)))
    }

    pub(super) async fn place(&self, seq: Seq) -> Result<TakenShard> {
        let doing = || format!("placing shard {} at {seq}", self.shard.name);
        answer(self.settings.call_deadline, doing, self.store.place_shard(&self.shard.name, seq)).await
    }

    pub(super) async fn stored(&self) -> Result<Option<Progress>> {
        Ok(self.all_progress().await?.into_iter().find(|p| p.shard == self.shard.name))
    }

    pub(super) async fn all_progress(&self) -> Result<Vec<Progress>> {
        let doing = || format!("reading progress of shard {}", self.shard.name);
        answer(self.settings.call_deadline, doing, self.store.read_progress()).await
    }
}
