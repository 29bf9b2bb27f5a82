//! Futures dropped at every point: no transaction stays open, and nothing is half done.

use ermine_core::{
    Error, Seq, ShardBatch, ShardName, ViewPin,
    ports::{EventAppender, HighWaterSource, ProgressStore, SchemaAdmin, ViewStore},
};
use ermine_postgres::Store;
use ermine_testkit::{
    eventually,
    pg::{OwnedClient, TestDatabase},
    poll_times,
};

use crate::common::{DEADLINE, LEAVE, batch, key, page, registration, store_operation, table};

struct Scene {
    store: Store,
    admin: OwnedClient,
    _database: TestDatabase,
}

impl Scene {
    /// One data connection: whatever is left behind on it is in the way of everybody.
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::builder(database.url()).pool_size(1).connect().await.unwrap();
        store.migrate(&registration()).await.unwrap();
        let admin = database.connect().await;
        Self { store, admin, _database: database }
    }

    /// Waits until no session of the store is doing anything, and looks that none has a transaction open.
    async fn quiet(&self) {
        let sql = "select count(*) filter (where state <> 'idle'), coalesce(string_agg(state || ': ' || query, '; '), '') \
                   from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
        eventually(DEADLINE, || async {
            let row = self.admin.query_one(sql, &[]).await.unwrap();
            if row.get::<_, i64>(0) == 0 { Ok(()) } else { Err(row.get::<_, String>(1)) }
        })
        .await;
        // The pool still lends.
        self.store.read_progress().await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_commit_is_done_as_a_whole_or_not_at_all() {
    let scene = Scene::new().await;
    let shard: ShardName = "Trip:All".parse().unwrap();
    let incarnation = scene.store.observe(LEAVE).await.unwrap().incarnation;
    let mut outcomes = [0, 0];
    for polls in 0.. {
        let taken = scene.store.take_shards(std::slice::from_ref(&shard)).await.unwrap().remove(0);
        let to = taken.seq.next();
        let batch = ShardBatch {
            operations: vec![store_operation("trip-1", &to.to_string())],
            unknown_events: 1,
            ..ShardBatch::new(shard.clone(), taken.epoch, incarnation, taken.seq, to)
        };
        let finished = poll_times(polls, scene.store.commit(batch)).await;
        scene.quiet().await;
        let progress = scene.store.read_progress().await.unwrap().remove(0);
        let view = scene.store.load_views(&table(), &[key("trip-1")]).await.unwrap().remove(0);
        let shown: u64 = view.map_or(0, |view| view.body.decode().unwrap());
        assert_eq!(
            (shown, progress.unknown_events),
            (progress.seq.get(), progress.seq.get()),
            "after {polls} polls"
        );
        outcomes[usize::from(progress.seq == to)] += 1;
        if let Some(result) = finished {
            result.unwrap();
            assert_eq!(progress.seq, to);
            break;
        }
    }
    assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}");
}

#[tokio::test]
async fn a_dropped_append_is_recorded_as_a_whole_or_not_at_all() {
    let scene = Scene::new().await;
    for polls in 0.. {
        let id = format!("trip-{polls}");
        let finished = poll_times(polls, scene.store.append(batch(&id, 3))).await;
        scene.quiet().await;
        let sql = "select count(*) from ermine.events where stream_id = $1";
        let events: i64 = scene.admin.query_one(sql, &[&id]).await.unwrap().get(0);
        assert!(events == 0 || events == 3, "{events} after {polls} polls");
        if let Some(appended) = finished {
            appended.unwrap();
            assert_eq!(events, 3);
            break;
        }
    }
}

/// With a native statement the BEGIN is waited for, so there is one more place to stop at.
#[tokio::test]
async fn a_dropped_append_with_views_is_recorded_with_them_or_not_at_all() {
    let scene = Scene::new().await;
    for native in [false, true] {
        for polls in 0.. {
            let id = format!("trip-{native}-{polls}");
            let mut operations = vec![store_operation(&id, "3")];
            if native {
                let same = "update {table} set data = data where id = $1";
                operations.push(ermine_postgres::sql(&table(), same, [id.as_str().into()]));
            }
            let pin = ViewPin { table: table(), key: key(&id), version: None, body: None };
            let append = batch(&id, 3).with_operations(vec![pin], operations);
            let finished = poll_times(polls, scene.store.append(append)).await;
            scene.quiet().await;
            let sql = "select count(*) from ermine.events where stream_id = $1";
            let events: i64 = scene.admin.query_one(sql, &[&id]).await.unwrap().get(0);
            let view = scene.store.load_views(&table(), &[key(&id)]).await.unwrap().remove(0);
            let shown: i64 = view.map_or(0, |view| view.body.decode().unwrap());
            assert_eq!(shown, events, "after {polls} polls");
            if let Some(appended) = finished {
                appended.unwrap();
                assert_eq!(events, 3);
                break;
            }
        }
    }
}

#[tokio::test]
async fn dropped_readings_leave_the_store_as_it_was() {
    let scene = Scene::new().await;
    scene.store.append(batch("trip-1", 2000)).await.unwrap();
    for polls in 0.. {
        let filter = || ermine_core::EventFilter::new(crate::common::names(&["Travelled"]), []);
        let all = async {
            let small = page(&scene.store, 0, 2000, 10, filter()).await;
            let large = page(&scene.store, 0, 2000, 2000, filter()).await;
            scene.store.take_shards(&["Trip:All".parse()?]).await?;
            scene.store.statistics().await?;
            scene.store.explain().await?;
            Ok::<_, Error>((small.events.len(), large.range.ceiling()))
        };
        let finished = poll_times(polls, all).await;
        scene.quiet().await;
        if let Some(read) = finished {
            assert_eq!(read.unwrap(), (10, Seq::new(2000)));
            break;
        }
    }
}

#[tokio::test]
async fn a_dropped_migration_leaves_no_transaction_open() {
    let database = TestDatabase::create().await;
    let admin = database.connect().await;
    for polls in 0.. {
        let store = Store::builder(database.url()).pool_size(1).connect().await.unwrap();
        let finished = poll_times(polls * 7, store.migrate(&registration())).await;
        let open = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'";
        eventually(DEADLINE, || async { admin.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0 })
            .await;
        if let Some(result) = finished {
            result.unwrap();
            store.check(&registration()).await.unwrap();
            break;
        }
    }
}
