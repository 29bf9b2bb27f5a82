//! A store that can be closed and opened again behind the back of whoever uses it, as a server can be restarted.

use std::{num::NonZeroUsize, sync::RwLock, time::Duration};

use async_trait::async_trait;
use ermine_core::{
    AppendBatch, Appended, DeadLetter, EffectId, Event, EventPage, Holder, LetterQuery, LetterRequest,
    LogEntry, LogPoint, Message, Observation, Observe, PageRequest, ParkKey, Progress, Result, Seq,
    ShardBatch, ShardName, Statistics, StoredView, StreamHeads, StreamId, TakenShard, TenantId, Timestamp,
    Version, ViewId, ViewKey, ViewQuery, ViewTable, Wish,
    ports::{
        self, Check, DeadLetterStore, EventAppender, EventReader, HighWaterSource, Outbox, ProgressStore,
        Registration, SchemaAdmin, StreamAdmin, ViewStore, WakeReason, Wakeup, WishStore,
    },
};
use ermine_sqlite::{SqliteOptions, Store};

#[derive(Debug)]
pub(crate) struct Reopened {
    options: SqliteOptions,
    now: RwLock<Option<Store>>,
}

impl Reopened {
    pub(crate) async fn open(options: SqliteOptions) -> Self {
        let store = options.clone().open().await.unwrap();
        Self { options, now: RwLock::new(Some(store)) }
    }

    /// The store as it is at this moment.
    pub(crate) fn now(&self) -> Store {
        self.now.read().unwrap().clone().unwrap()
    }

    pub(crate) async fn close(&self) {
        let store = self.now.write().unwrap().take();
        store.unwrap().close().await;
    }

    pub(crate) async fn open_again(&self) {
        let store = self.options.clone().open().await.unwrap();
        *self.now.write().unwrap() = Some(store);
    }
}

/// Passes calls on to the store of the moment.
macro_rules! pass_on {
    ($port:ident { $($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)* }) => {
        #[async_trait]
        impl $port for Reopened {
            $(async fn $name(&self, $($arg: $type),*) -> $answer {
                self.now().$name($($arg),*).await
            })*
        }
    };
}

pass_on!(EventAppender { append(batch: AppendBatch) -> Result<Appended>; });
pass_on!(EventReader {
    load_page(request: PageRequest) -> Result<EventPage>;
    read_stream(tenant: &TenantId, stream: &StreamId, after: Version, limit: NonZeroUsize) -> Result<Vec<Event>>;
    read_heads(streams: &[(TenantId, StreamId)]) -> Result<StreamHeads>;
    locate(point: LogPoint) -> Result<Option<LogEntry>>;
});
pass_on!(HighWaterSource {
    observe(request: Observe) -> Result<Observation>;
    explain() -> Result<Vec<Holder>>;
});
pass_on!(Wakeup { wait(timeout: Duration) -> WakeReason; });
pass_on!(ViewStore {
    load_views(table: &ViewTable, keys: &[ViewKey]) -> Result<Vec<Option<StoredView>>>;
    query(query: ViewQuery) -> Result<Vec<(ViewId, StoredView)>>;
    count(query: ViewQuery) -> Result<u64>;
    commit(batch: ShardBatch) -> Result<()>;
});
pass_on!(ProgressStore {
    take_shards(shards: &[ShardName]) -> Result<Vec<TakenShard>>;
    place_shard(shard: &ShardName, seq: Seq) -> Result<TakenShard>;
    read_progress() -> Result<Vec<Progress>>;
    statistics() -> Result<Statistics>;
});
pass_on!(SchemaAdmin {
    migrate(registration: &Registration) -> Result<()>;
    reset(registration: &Registration) -> Result<()>;
    check(registration: &Registration) -> Result<Vec<Check>>;
});
pass_on!(StreamAdmin {
    archive_stream(tenant: &TenantId, stream: &StreamId) -> Result<Appended>;
    skip_events(events: &[Seq], reason: &str) -> Result<u64>;
});
pass_on!(Outbox {
    pending_messages(limit: NonZeroUsize) -> Result<Vec<Message>>;
    settle_messages(messages: &[EffectId]) -> Result<()>;
});

pass_on!(DeadLetterStore {
    letters(query: LetterQuery) -> Result<Vec<DeadLetter>>;
    count_letters(query: LetterQuery) -> Result<u64>;
    request(query: LetterQuery, request: LetterRequest) -> Result<u64>;
    parked_keys(shard: &ShardName) -> Result<Vec<(ParkKey, u64)>>;
    parked(shard: &ShardName, key: &ParkKey, after: Seq, limit: NonZeroUsize) -> Result<Vec<Seq>>;
    read_events(seqs: &[Seq]) -> Result<Vec<Event>>;
    purge_letters(moment: Timestamp) -> Result<u64>;
});
pass_on!(WishStore {
    put_wish(wish: Wish) -> Result<()>;
    clear_wishes(shards: &[ShardName]) -> Result<u64>;
    wishes() -> Result<Vec<Wish>>;
});

impl ports::Store for Reopened {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    fn stream_admin(&self) -> Option<&dyn StreamAdmin> {
        Some(self)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(self)
    }

    fn dead_letters(&self) -> Option<&dyn DeadLetterStore> {
        Some(self)
    }

    fn wishes(&self) -> Option<&dyn WishStore> {
        Some(self)
    }
}
