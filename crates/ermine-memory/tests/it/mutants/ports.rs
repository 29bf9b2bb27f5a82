//! Each port of a [`Mutant`]: the memory store's, but for the flaw.

use std::{num::NonZeroUsize, sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use ermine_core::{
    AppendBatch, Appended, Body, Error, ErrorKind, Event, EventFilter, EventPage, Evidence, Holder,
    Incarnation, NewEvent, Observation, Observe, Operation, PageRequest, Position, Progress, Result, Seq,
    ShardBatch, ShardName, Statistics, StoredView, StreamAppend, StreamId, TakenShard, TenantId, Uuid,
    Version, ViewId, ViewKey, ViewQuery, ViewTable,
    ports::{
        Check, EventAppender, EventReader, HighWaterSource, ProgressStore, Registration, SchemaAdmin, Store,
        ViewStore, WakeReason, Wakeup,
    },
};

use super::{Flaw, Mutant};
use crate::support::{event, observe};

impl Store for Mutant {
    fn kind(&self) -> &'static str {
        "mutant"
    }
}

impl Mutant {
    /// Fails where another call is on its way.
    async fn alone(&self) -> Result<()> {
        if self.busy.swap(true, Ordering::SeqCst) {
            return Err(Error::transient("deadlock detected"));
        }
        give_way().await;
        self.busy.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// What a batch becomes on its way to a flawed store.
    fn spoil(&self, batch: AppendBatch) -> AppendBatch {
        let mut streams = batch.streams().to_vec();
        match self.flaw {
            Flaw::AppendsInReverse => streams.reverse(),
            Flaw::AcceptsAnIdTwice => renew(&mut streams),
            Flaw::CutsLargeBodies => streams.iter_mut().flat_map(|s| &mut s.events).for_each(cut),
            _ => return batch,
        }
        let spoilt = streams.into_iter().fold(AppendBatch::new(), AppendBatch::stream);
        if batch.is_idempotent() { spoilt.idempotent() } else { spoilt }
    }
}

async fn give_way() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn renew(streams: &mut [StreamAppend]) {
    for new in streams.iter_mut().flat_map(|s| &mut s.events) {
        *new = NewEvent::new(new.type_name().clone(), new.body().clone());
    }
}

fn cut(new: &mut NewEvent) {
    if new.body().len() > 1_000_000 {
        *new = NewEvent::new(new.type_name().clone(), Body::encode("too large").unwrap()).with_id(new.id());
    }
}

#[async_trait]
impl EventAppender for Mutant {
    async fn append(&self, batch: AppendBatch) -> Result<Appended> {
        let sent = batch.clone();
        let batch = self.spoil(batch);
        match self.flaw {
            Flaw::AppendsStreamByStream => {
                let mut versions = Vec::new();
                let mut last = Err(Error::fatal("no streams"));
                for stream in batch.streams() {
                    let one = self.inner.append(AppendBatch::new().stream(stream.clone())).await?;
                    versions.push(one.version());
                    last = Ok(one);
                }
                last.map(|last: Appended| Appended { versions, ..last })
            }
            Flaw::FailsBesideAnotherAppend => {
                self.alone().await?;
                self.inner.append(batch).await
            }
            _ => self.answer(sent, self.inner.append(batch).await).await,
        }
    }
}

impl Mutant {
    /// What an answer becomes on its way back from a flawed store.
    async fn answer(&self, batch: AppendBatch, answer: Result<Appended>) -> Result<Appended> {
        match (self.flaw, answer) {
            (Flaw::ConflictBurnsANumber, Err(error)) if error.as_conflict().is_some() => {
                let mut open = self.inner.begin();
                let stream = StreamAppend::new(StreamId::new("burnt")?, vec![event()]);
                open.append(AppendBatch::new().stream(stream)).await?;
                Err(error)
            }
            (Flaw::AppendsWhatIsNotKnown, Err(error)) => match error.kind() {
                ErrorKind::PartlyKnown { .. } => {
                    let mut streams = batch.streams().to_vec();
                    renew(&mut streams);
                    self.inner.append(streams.into_iter().fold(AppendBatch::new(), AppendBatch::stream)).await
                }
                _ => Err(error),
            },
            (Flaw::ForgetsThatItRepeats, Ok(appended)) => {
                let position = Position::new(observe(&self.inner).await.highest_visible);
                Ok(Appended { position, ..appended })
            }
            (Flaw::AppendsInReverse, Ok(mut appended)) => {
                appended.versions.reverse();
                Ok(appended)
            }
            (_, answer) => answer,
        }
    }
}

#[async_trait]
impl EventReader for Mutant {
    async fn load_page(&self, mut request: PageRequest) -> Result<EventPage> {
        let asked = request.range;
        match self.flaw {
            Flaw::PageMindsNoBytes => request.bytes_max = usize::MAX,
            Flaw::PageMindsNoIncarnation => request.incarnation = observe(&self.inner).await.incarnation,
            Flaw::PageHoldsOtherTypes => {
                request.filter = EventFilter::new(request.filter.known().to_vec(), []);
            }
            _ => {}
        }
        let mut page = self.inner.load_page(request).await?;
        match self.flaw {
            Flaw::PageIsNotInOrder => page.events.reverse(),
            Flaw::PageLeavesOutItsCeiling => page.events.retain(|event| event.seq < asked.ceiling()),
            Flaw::FullPageClaimsTheCeiling => page.range = asked,
            Flaw::PageHidesUnknownEvents => page.unknown.clear(),
            _ => {}
        }
        Ok(page)
    }

    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Version,
        limit: NonZeroUsize,
    ) -> Result<Vec<Event>> {
        let after = if self.flaw == Flaw::StreamIsReadFromTheStart { Version::ZERO } else { after };
        let mut events = self.inner.read_stream(tenant, stream, after, limit).await?;
        if self.flaw == Flaw::NumbersStreamsFromTwo {
            events.iter_mut().for_each(|event| event.version = event.version.plus(1));
        }
        Ok(events)
    }
}

#[async_trait]
impl HighWaterSource for Mutant {
    async fn observe(&self, request: Observe) -> Result<Observation> {
        let early = self.inner.observe(request).await?;
        let mut seen = match self.flaw {
            Flaw::EvidenceIsReadBeforeTheLastNumber => {
                tokio::time::sleep(Duration::from_millis(2)).await;
                Observation { evidence: early.evidence, ..self.inner.observe(request).await? }
            }
            _ => early,
        };
        match self.flaw {
            Flaw::ShowsNoFloors => seen.evidence = Evidence::Floors(Vec::new()),
            Flaw::CrashKeepsTheIncarnation => seen.incarnation = Incarnation(Uuid::from_u128(1)),
            _ => {}
        }
        Ok(seen)
    }

    async fn explain(&self) -> Result<Vec<Holder>> {
        if self.flaw == Flaw::ExplainsNothing { Ok(Vec::new()) } else { self.inner.explain().await }
    }
}

#[async_trait]
impl Wakeup for Mutant {
    async fn wait(&self, timeout: Duration) -> WakeReason {
        match self.flaw {
            Flaw::NeverRings => {
                tokio::time::sleep(timeout).await;
                WakeReason::TimedOut
            }
            Flaw::MindsNoTimeout => self.inner.wait(Duration::from_secs(60)).await,
            Flaw::ForgetsWakeUpsBetweenWaits => {
                self.inner.wait(Duration::ZERO).await;
                self.inner.wait(timeout).await
            }
            _ => self.inner.wait(timeout).await,
        }
    }
}

impl Mutant {
    fn table(&self, table: &ViewTable) -> ViewTable {
        match self.flaw {
            Flaw::MixesVersionsOfAProjection => ViewTable::new(table.projection().clone(), 1),
            _ => table.clone(),
        }
    }

    fn key(&self, key: &ViewKey) -> ViewKey {
        match self.flaw {
            Flaw::MixesTenants => ViewKey::new(key.id.clone()),
            _ => key.clone(),
        }
    }

    fn operation(&self, operation: &Operation) -> Operation {
        let (table, key) = (self.table(operation.table()), self.key(operation.key()));
        match operation.result() {
            Some(view) => Operation::Store { table, key, view: view.clone() },
            None => Operation::Delete { table, key },
        }
    }
}

#[async_trait]
impl ViewStore for Mutant {
    async fn load_views(&self, table: &ViewTable, keys: &[ViewKey]) -> Result<Vec<Option<StoredView>>> {
        let mut keys: Vec<ViewKey> = keys.iter().map(|key| self.key(key)).collect();
        if self.flaw == Flaw::LoadsInTheOrderOfIds {
            keys.sort_unstable();
        }
        let mut views = self.inner.load_views(&self.table(table), &keys).await?;
        if self.flaw == Flaw::LoadsOnlyWhatIsThere {
            views.retain(Option::is_some);
        }
        Ok(views)
    }

    async fn query(&self, mut query: ViewQuery) -> Result<Vec<(ViewId, StoredView)>> {
        let after = query.after.clone();
        if self.flaw == Flaw::MixesTenants {
            query.tenant = TenantId::default();
        }
        query.table = self.table(&query.table);
        let mut views = self.inner.query(query.clone()).await?;
        match self.flaw {
            Flaw::QueriesInHumanOrder => views.sort_by_key(|(id, _)| id.to_lowercase()),
            Flaw::QueriesFromTheIdItself => {
                let key = after.map(ViewKey::new);
                let itself = self.inner.load_views(&query.table, key.as_slice()).await?.pop().flatten();
                if let (Some(key), Some(view)) = (key, itself) {
                    views.insert(0, (key.id, view));
                    views.truncate(query.limit.get());
                }
            }
            _ => {}
        }
        Ok(views)
    }

    async fn commit(&self, mut batch: ShardBatch) -> Result<()> {
        batch.operations = batch.operations.iter().map(|operation| self.operation(operation)).collect();
        let to = batch.to;
        match self.flaw {
            Flaw::CommitsViewsBeforeProgress => {
                self.inner.commit(ShardBatch { to: batch.from, ..batch.clone() }).await?;
                give_way().await;
                self.inner.commit(ShardBatch { operations: Vec::new(), ..batch }).await
            }
            Flaw::CommitsProgressBeforeViews => {
                self.inner.commit(ShardBatch { operations: Vec::new(), ..batch.clone() }).await?;
                give_way().await;
                self.inner.commit(ShardBatch { from: to, ..batch }).await
            }
            Flaw::CommitsOnlyWhatMoves if batch.range().is_none() => Ok(()),
            _ => self.commit_flawed(batch).await,
        }
    }
}

impl Mutant {
    async fn commit_flawed(&self, mut batch: ShardBatch) -> Result<()> {
        match self.flaw {
            Flaw::OperatesInReverse => batch.operations.reverse(),
            Flaw::CountsNoUnknownEvents => batch.unknown_events = 0,
            Flaw::CommitMindsNoIncarnation | Flaw::CrashKeepsTheIncarnation => {
                batch.incarnation = observe(&self.inner).await.incarnation;
            }
            _ => {}
        }
        let Err(error) = self.inner.commit(batch.clone()).await else { return Ok(()) };
        match (self.flaw, error.kind()) {
            (Flaw::CommitMindsNoEpoch, ErrorKind::Fenced { epoch }) => {
                self.inner.commit(ShardBatch { epoch: *epoch, ..batch }).await
            }
            (Flaw::FencesWithItsOwnEpoch, ErrorKind::Fenced { .. }) => {
                Err(Error::fenced(&batch.shard, batch.epoch, batch.epoch))
            }
            (Flaw::CommitMindsNoOrder, ErrorKind::OutOfOrder { at }) => {
                self.inner.commit(ShardBatch { from: *at, to: batch.to.max(*at), ..batch }).await
            }
            _ => Err(error),
        }
    }
}

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

#[async_trait]
impl SchemaAdmin for Mutant {
    async fn migrate(&self, registration: &Registration) -> Result<()> {
        match self.flaw {
            Flaw::FailsBesideAnotherMigration => self.alone().await?,
            Flaw::MigratingTakesTheShards => {
                let shards: Vec<ShardName> =
                    self.inner.read_progress().await?.into_iter().map(|progress| progress.shard).collect();
                self.inner.take_shards(&shards).await?;
            }
            _ => {}
        }
        self.inner.migrate(registration).await
    }

    async fn check(&self, registration: &Registration) -> Result<Vec<Check>> {
        match self.flaw {
            Flaw::ChecksNothing => Ok(Vec::new()),
            Flaw::RefusesAlways => Err(Error::new(ErrorKind::Refused, "this store was never migrated")),
            _ => self.inner.check(registration).await,
        }
    }
}
