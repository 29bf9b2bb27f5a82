use async_trait::async_trait;
use ermine_core::{Progress, Result, Seq, ShardName, Statistics, TakenShard, ports::ProgressStore};

use super::{Flaw, Mutant};

#[async_trait]
impl ProgressStore for Mutant {
    async fn take_shards(&self, shards: &[ShardName]) -> Result<Vec<TakenShard>> {
        let before = self.inner.read_progress().await?;
        let stored = |shard: &ShardName| before.iter().find(|progress| progress.shard == *shard);
        match self.flaw {
            Flaw::TakingKeepsTheEpoch => {
                let known = shards.iter().map(|shard| stored(shard).map(taken)).collect::<Option<_>>();
                match known {
                    Some(known) => Ok(known),
                    None => self.inner.take_shards(shards).await,
                }
            }
            Flaw::TakingReadsBeforeItWaits => {
                let mut taken = self.inner.take_shards(shards).await?;
                for taken in &mut taken {
                    taken.seq = stored(&taken.shard).map_or(Seq::ZERO, |progress| progress.seq);
                }
                Ok(taken)
            }
            Flaw::TakesOneByOne => {
                let mut taken = Vec::new();
                for shard in shards {
                    taken.extend(self.inner.take_shards(std::slice::from_ref(shard)).await?);
                }
                Ok(taken)
            }
            _ => self.inner.take_shards(shards).await,
        }
    }

    async fn place_shard(&self, shard: &ShardName, seq: Seq) -> Result<TakenShard> {
        let stored = self.inner.read_progress().await?.into_iter().find(|stored| stored.shard == *shard);
        match (self.flaw, stored) {
            (Flaw::PlacingOnlyTakes, _) => {
                let taken = self.inner.take_shards(std::slice::from_ref(shard)).await?.remove(0);
                Ok(TakenShard { seq, ..taken })
            }
            (Flaw::PlacingOnlyGoesForward, Some(stored)) => {
                self.inner.place_shard(shard, seq.max(stored.seq)).await
            }
            (Flaw::PlacingKeepsTheEpoch, Some(stored)) => {
                self.inner.place_shard(shard, seq).await?;
                Ok(TakenShard { seq, ..taken(&stored) })
            }
            _ => self.inner.place_shard(shard, seq).await,
        }
    }

    async fn read_progress(&self) -> Result<Vec<Progress>> {
        let mut progress = self.inner.read_progress().await?;
        if self.flaw == Flaw::GivesProgressInReverse {
            progress.reverse();
        }
        Ok(progress)
    }

    async fn statistics(&self) -> Result<Statistics> {
        self.inner.statistics().await
    }
}

fn taken(progress: &Progress) -> TakenShard {
    TakenShard { shard: progress.shard.clone(), seq: progress.seq, epoch: progress.epoch }
}
