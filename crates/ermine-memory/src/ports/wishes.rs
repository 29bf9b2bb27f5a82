use async_trait::async_trait;
use ermine_core::{Result, ShardName, Wish, ports::WishStore};

use crate::{Call, MemoryStore};

#[async_trait]
impl WishStore for MemoryStore {
    async fn put_wish(&self, wish: Wish) -> Result<()> {
        let entered = self.node.enter(Call::PutWish).await?;
        self.node.shared.state().put_wish(wish);
        entered.answer(Ok(())).await
    }

    async fn clear_wishes(&self, shards: &[ShardName]) -> Result<u64> {
        let entered = self.node.enter(Call::ClearWishes).await?;
        let cleared = self.node.shared.state().clear_wishes(shards);
        entered.answer(Ok(cleared)).await
    }

    async fn wishes(&self) -> Result<Vec<Wish>> {
        let entered = self.node.enter(Call::Wishes).await?;
        let wishes = self.node.shared.state().wishes();
        entered.answer(Ok(wishes)).await
    }
}
