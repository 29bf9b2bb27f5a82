use async_trait::async_trait;
use ermine_core::ports::ProgressStore;
use ermine_core::{
    Body, Error, ErrorKind, Layout, LetterChanges, Operation, Result, ShardBatch, StoredView, TenantId,
    ViewId, ViewKey, ViewQuery, ViewTable, ports::ViewStore,
};

use super::{Flaw, Mutant, give_way, operations::fields};
use crate::support::observe;

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
        if self.flaw == Flaw::LosesNullsOfRows && *table.layout() != Layout::Document {
            views.iter_mut().flatten().for_each(|view| view.body = without_nulls(&view.body));
        }
        Ok(views)
    }

    async fn query(&self, mut query: ViewQuery) -> Result<Vec<(ViewId, StoredView)>> {
        let after = query.after.clone();
        if self.flaw == Flaw::MixesTenants {
            query.tenant = TenantId::default();
        }
        query.table = self.table(&query.table);
        query.filter = query.filter.map(|filter| self.filter(filter));
        match self.flaw {
            Flaw::MindsNoOrder => query.order.clear(),
            Flaw::MindsNoOffset => query.offset = 0,
            _ => {}
        }
        let mut views = self.inner.query(query.clone()).await?;
        match self.flaw {
            Flaw::NullIsUnknown => {
                let asked = query.filter.iter().flat_map(fields).collect::<Vec<_>>();
                views.retain(|(_, view)| {
                    let document = view.body.decode().unwrap();
                    asked.iter().all(|field| !field.of(&document).is_null())
                });
            }
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

    async fn count(&self, query: ViewQuery) -> Result<u64> {
        let limit = query.limit.get() as u64;
        let count = self.inner.count(query).await?;
        Ok(if self.flaw == Flaw::CountsUpToTheLimit { count.min(limit) } else { count })
    }

    async fn commit(&self, mut batch: ShardBatch) -> Result<()> {
        batch.operations = self.spoil_operations(batch.operations);
        batch.letters = self.spoil_letters(batch.letters).await?;
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
            Flaw::WritesLettersBeforeTheBatch => {
                let before = ShardBatch { to: batch.from, operations: Vec::new(), ..batch.clone() };
                self.inner.commit(before).await?;
                give_way().await;
                self.inner.commit(ShardBatch { letters: LetterChanges::default(), ..batch }).await
            }
            Flaw::WritesLettersAfterTheBatch => {
                let letters = std::mem::take(&mut batch.letters);
                self.inner.commit(batch.clone()).await?;
                give_way().await;
                let after = ShardBatch { from: to, operations: Vec::new(), letters, ..batch };
                self.inner.commit(after).await
            }
            Flaw::CommitsOnlyWhatMoves if batch.range().is_none() => Ok(()),
            _ => self.commit_flawed(batch).await,
        }
    }
}

impl Mutant {
    async fn commit_flawed(&self, mut batch: ShardBatch) -> Result<()> {
        match self.flaw {
            Flaw::CountsNoUnknownEvents => batch.unknown_events = 0,
            Flaw::CountsNoSkippedEvents => batch.skipped_events = 0,
            Flaw::LeavesMembersBehind => batch.members.clear(),
            Flaw::TakesMembers => {
                self.inner.take_shards(&batch.members).await?;
            }
            Flaw::AppendsApartFromTheBatch => {
                let appends = |o: &Operation| matches!(o, Operation::Append { .. });
                self.operate_apart(batch.operations.extract_if(.., |o| appends(o)).collect()).await?;
            }
            Flaw::PublishesApartFromTheBatch => {
                let publishes = |o: &Operation| matches!(o, Operation::Publish(_));
                self.operate_apart(batch.operations.extract_if(.., |o| publishes(o)).collect()).await?;
            }
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

/// A row as a careless adapter gives it back.
fn without_nulls(body: &Body) -> Body {
    let mut row: std::collections::BTreeMap<String, Option<Box<serde_json::value::RawValue>>> =
        body.decode().unwrap();
    row.retain(|_, value| value.is_some());
    Body::encode(&row).unwrap()
}
