use async_trait::async_trait;
use ermine_core::{Result, ShardName, Wish, ports::WishStore};

use super::{Flaw, Mutant};

#[async_trait]
impl WishStore for Mutant {
    async fn put_wish(&self, wish: Wish) -> Result<()> {
        let there = WishStore::wishes(&self.inner).await?;
        if self.flaw == Flaw::KeepsTheFirstWish && there.iter().any(|other| other.shard == wish.shard) {
            return Ok(());
        }
        self.inner.put_wish(wish).await
    }

    async fn clear_wishes(&self, shards: &[ShardName]) -> Result<u64> {
        match self.flaw {
            Flaw::ClearsAllWishes => {
                let all = WishStore::wishes(&self.inner).await?;
                let all: Vec<ShardName> = all.into_iter().map(|wish| wish.shard).collect();
                self.inner.clear_wishes(&all).await
            }
            Flaw::CountsWishesThatAreNotThere => {
                self.inner.clear_wishes(shards).await?;
                Ok(shards.len() as u64)
            }
            _ => self.inner.clear_wishes(shards).await,
        }
    }

    async fn wishes(&self) -> Result<Vec<Wish>> {
        let mut wishes = WishStore::wishes(&self.inner).await?;
        if self.flaw == Flaw::GivesWishesInTheOrderOfVersions {
            wishes.sort_by(|one, other| one.shard.cmp(&other.shard));
        }
        Ok(wishes)
    }
}
