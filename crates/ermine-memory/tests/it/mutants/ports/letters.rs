use std::{num::NonZeroUsize, time::Duration};

use async_trait::async_trait;
use ermine_core::{
    Body, DeadLetter, Event, LetterChanges, LetterQuery, LetterRequest, ParkKey, Result, Seq, ShardName,
    StreamId, Timestamp,
    ports::{DeadLetterStore, ProgressStore},
};

use super::{Flaw, Mutant};

#[async_trait]
impl DeadLetterStore for Mutant {
    async fn letters(&self, mut query: LetterQuery) -> Result<Vec<DeadLetter>> {
        let limit = query.limit;
        match self.flaw {
            Flaw::MindsNoStatusOfLetters => query.statuses.clear(),
            Flaw::GivesLettersInTheOrderOfEvents => query.limit = None,
            Flaw::LimitsLettersBeforeItSelects => {
                let first = self.inner.letters(LetterQuery { limit, ..LetterQuery::default() }).await?;
                return Ok(first.into_iter().filter(|letter| query.matches(letter)).collect());
            }
            _ => {}
        }
        let mut letters = self.inner.letters(query).await?;
        if self.flaw == Flaw::GivesLettersInTheOrderOfEvents {
            letters.sort_by_key(|letter| letter.id.seq);
            letters.truncate(limit.unwrap_or(usize::MAX));
        }
        Ok(letters)
    }

    async fn count_letters(&self, query: LetterQuery) -> Result<u64> {
        let limit = query.limit.map_or(u64::MAX, |limit| limit as u64);
        let count = self.inner.count_letters(query).await?;
        Ok(if self.flaw == Flaw::CountsLettersUpToTheLimit { count.min(limit) } else { count })
    }

    async fn request(&self, query: LetterQuery, request: LetterRequest) -> Result<u64> {
        let count = self.inner.count_letters(query.clone()).await?;
        match self.flaw {
            Flaw::AsksUpToTheLimit => {
                let mut marked = 0;
                for letter in self.inner.letters(query).await? {
                    let (shard, seq) = (Some(letter.id.shard), Some(letter.id.seq));
                    let one = LetterQuery { shard, seq, ..LetterQuery::default() };
                    marked += self.inner.request(one, request.clone()).await?;
                }
                Ok(marked)
            }
            Flaw::CountsSettledLettersAsAsked => {
                self.inner.request(query, request).await?;
                Ok(count)
            }
            _ => self.inner.request(query, request).await,
        }
    }

    async fn parked_keys(&self, shard: &ShardName) -> Result<Vec<(ParkKey, u64)>> {
        let mut keys = self.inner.parked_keys(shard).await?;
        match self.flaw {
            Flaw::GivesParkedKeysOfAllShards => {
                keys.clear();
                for progress in self.inner.read_progress().await? {
                    keys.extend(self.inner.parked_keys(&progress.shard).await?);
                }
            }
            Flaw::CountsKeysInsteadOfEvents => keys.iter_mut().for_each(|(_, count)| *count = 1),
            _ => {}
        }
        Ok(keys)
    }

    async fn parked(
        &self,
        shard: &ShardName,
        key: &ParkKey,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Seq>> {
        let key = self.park_key(key.clone());
        match self.flaw {
            Flaw::GivesParkedEventsFromTheNumberItself => {
                self.inner.parked(shard, &key, after.previous(), limit).await
            }
            Flaw::GivesAllParkedEvents => self.inner.parked(shard, &key, after, NonZeroUsize::MAX).await,
            _ => self.inner.parked(shard, &key, after, limit).await,
        }
    }

    async fn read_events(&self, seqs: &[Seq]) -> Result<Vec<Event>> {
        let mut events = self.inner.read_events(seqs).await?;
        match self.flaw {
            Flaw::ReadsEventsInTheOrderAskedFor => {
                events.sort_by_key(|event| seqs.iter().position(|seq| *seq == event.seq));
            }
            Flaw::ReadsNoSkippedEvents => {
                let skipped = self.skipped(&events).await?;
                events.retain(|event| !skipped.contains(&event.seq));
            }
            Flaw::ReadsEventsWithoutBodies => {
                events.iter_mut().for_each(|event| event.body = Body::encode("").unwrap());
            }
            _ => {}
        }
        Ok(events)
    }

    async fn purge_letters(&self, moment: Timestamp) -> Result<u64> {
        match self.flaw {
            Flaw::PurgesWhatWasSettledAtTheMoment => {
                self.inner.purge_letters(moment + Duration::from_micros(1)).await
            }
            Flaw::PurgesNothing => Ok(0),
            _ => self.inner.purge_letters(moment).await,
        }
    }
}

impl Mutant {
    /// What changes to letters become on their way to a flawed store.
    pub(super) async fn spoil_letters(&self, mut changes: LetterChanges) -> Result<LetterChanges> {
        for letter in &mut changes.letters {
            letter.id.key = letter.id.key.take().map(|key| self.park_key(key));
            match self.flaw {
                Flaw::TidiesBodiesOfLetters => letter.body = tidied(&letter.body),
                Flaw::CutsErrorsOfLetters => letter.error = letter.error.chars().take(1000).collect(),
                _ => {}
            }
        }
        for (key, _) in changes.parked.iter_mut().chain(&mut changes.released) {
            *key = self.park_key(key.clone());
        }
        match self.flaw {
            Flaw::KeepsTheFirstLetter => {
                let there = self.inner.letters(LetterQuery::default()).await?;
                changes.letters.retain(|letter| there.iter().all(|other| other.id != letter.id));
            }
            Flaw::ReleasesBeforeItParks => {
                let parked = &changes.parked;
                changes.released.retain(|event| !parked.contains(event));
            }
            _ => {}
        }
        Ok(changes)
    }

    fn park_key(&self, key: ParkKey) -> ParkKey {
        match key {
            ParkKey::View(view) if self.flaw == Flaw::MixesStreamsAndViews => {
                ParkKey::Stream { tenant: view.tenant, stream: StreamId::new(view.id.as_str()).unwrap() }
            }
            key => key,
        }
    }
}

/// The same JSON in the spelling of a database that keeps no text.
fn tidied(body: &Body) -> Body {
    body.decode::<serde_json::Value>().map_or_else(|_| body.clone(), |json| Body::encode(&json).unwrap())
}
