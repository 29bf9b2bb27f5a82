use std::num::NonZeroUsize;

use async_trait::async_trait;
use ermine_core::{
    DeadLetter, Event, LetterQuery, LetterRequest, ParkKey, Result, Seq, ShardName, Timestamp,
    ports::DeadLetterStore,
};

use crate::{Call, MemoryStore, node::Tx};

#[async_trait]
impl DeadLetterStore for MemoryStore {
    async fn letters(&self, query: LetterQuery) -> Result<Vec<DeadLetter>> {
        let entered = self.node.enter(Call::Letters).await?;
        let letters = self.node.shared.state().letters(&query);
        entered.answer(Ok(letters)).await
    }

    async fn count_letters(&self, query: LetterQuery) -> Result<u64> {
        let entered = self.node.enter(Call::CountLetters).await?;
        let count = self.node.shared.state().count_letters(&query);
        entered.answer(Ok(count)).await
    }

    async fn request(&self, query: LetterQuery, request: LetterRequest) -> Result<u64> {
        let entered = self.node.enter(Call::RequestLetters).await?;
        let tx = Tx::begin(&self.node.shared);
        let marked = self.node.shared.turn(|state| state.request_letters(tx.id, &query, &request)).await;
        entered.answer(marked).await
    }

    async fn parked_keys(&self, shard: &ShardName) -> Result<Vec<(ParkKey, u64)>> {
        let entered = self.node.enter(Call::ParkedKeys).await?;
        let keys = self.node.shared.state().parked_keys(shard);
        entered.answer(Ok(keys)).await
    }

    async fn parked(
        &self,
        shard: &ShardName,
        key: &ParkKey,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Seq>> {
        let entered = self.node.enter(Call::Parked).await?;
        let parked = self.node.shared.state().parked(shard, key, after, limit.get());
        entered.answer(Ok(parked)).await
    }

    async fn read_events(&self, seqs: &[Seq]) -> Result<Vec<Event>> {
        let entered = self.node.enter(Call::ReadEvents).await?;
        let events = self.node.shared.state().read_events(seqs);
        entered.answer(Ok(events)).await
    }

    async fn purge_letters(&self, moment: Timestamp) -> Result<u64> {
        let entered = self.node.enter(Call::PurgeLetters).await?;
        let tx = Tx::begin(&self.node.shared);
        let purged = self.node.shared.turn(|state| state.purge_letters(tx.id, moment)).await;
        entered.answer(purged).await
    }
}
