mod columns;
mod numbers;
mod operations;
mod queries;

use ermine_core::{
    Epoch, ErrorKind, Incarnation, Operation, Seq, ShardBatch, TenantId, Uuid, ViewId, ViewKey, ViewQuery,
    ViewTable, ports::Store,
};

use crate::{
    Outcome, Stop,
    bench::{
        Bench, Worker, at_most, delete, event, key, poll_times, progress, put, shard, stream, table, tenant,
        texts, value, values, view,
    },
    outcome::{ensure, ensure_eq, ensure_kind},
};

pub(crate) use columns::views_in_columns_come_back_and_can_be_queried;
pub(crate) use numbers::numbers_come_back_to_the_last_bit_and_are_found_by_value;
pub(crate) use operations::{
    a_message_is_kept_once_in_the_order_of_commits, a_native_statement_of_another_store_is_refused,
    appending_in_a_batch_records_what_is_not_recorded_yet, deleting_where_removes_what_matches_at_that_point,
    progress_of_members_moves_with_the_batch,
};
pub(crate) use queries::{a_query_gives_what_select_would, counting_gives_how_many_match};

pub(crate) async fn operations_and_progress_become_visible_together(bench: &Bench<'_>) -> Outcome {
    const ROUNDS: u64 = 60;
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let (balance, shard) = (table("Balance", 1), shard("Balance", 1));
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    let write = async {
        for to in 1..=ROUNDS {
            worker.commit(&*store, to, vec![put(&balance, "a", to), put(&balance, "b", to)]).await?;
        }
        Ok::<(), Stop>(())
    };
    let read = async {
        loop {
            let before = progress(&*other, &shard).await?.seq.get();
            let views = values(&*other, &balance, &["a", "b"]).await?;
            let after = progress(&*other, &shard).await?.seq.get();
            ensure_eq!(views[0], views[1], "two views of one batch");
            let seen = views[0].unwrap_or(0);
            ensure!(
                before <= seen && seen <= after,
                "the views are of batch {seen}, and progress went from {before} to {after} meanwhile"
            );
            if before == ROUNDS {
                return Ok(());
            }
        }
    };
    tokio::try_join!(write, read)?;

    let loaded = store.load_views(&balance, &[key("a")]).await?;
    ensure_eq!(loaded, [Some(view(ROUNDS, Seq::new(ROUNDS)))], "a view as it was stored");
    // Views of another table than the shard's own are in the same commit.
    let ride = table("Ride", 1);
    worker.commit(&*store, ROUNDS + 1, vec![put(&ride, "r", 1), delete(&balance, "a")]).await?;
    ensure_eq!(values(&*store, &ride, &["r"]).await?, [Some(1)], "a view of another table");
    ensure_eq!(values(&*store, &balance, &["a", "b"]).await?, [None, Some(ROUNDS)], "after a deletion");
    Ok(())
}

pub(crate) async fn operations_take_effect_in_their_order(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let balance = table("Balance", 1);
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    let (put, delete) = (|id, value| put(&balance, id, value), |id| delete(&balance, id));
    let mixed = vec![
        put("stored", 1),
        put("gone", 1),
        put("stored", 2),
        delete("gone"),
        delete("back"),
        put("back", 3),
        delete("never"),
        put("again", 1),
        delete("again"),
        put("again", 4),
    ];
    worker.commit(&*store, 1, mixed).await?;
    let ids = ["stored", "gone", "back", "never", "again"];
    let found = values(&*store, &balance, &ids).await?;
    ensure_eq!(found, [Some(2), None, Some(3), None, Some(4)], "{ids:?} after the first batch");

    let onto_what_is_there = vec![delete("stored"), put("stored", 5), put("back", 6), delete("back")];
    worker.commit(&*store, 2, onto_what_is_there).await?;
    let found = values(&*store, &balance, &ids).await?;
    ensure_eq!(found, [Some(5), None, None, None, Some(4)], "{ids:?} after the second batch");
    Ok(())
}

pub(crate) async fn an_older_epoch_is_fenced_with_the_newest(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let fixture = Fixture::new(&*store).await?;
    let newest = Worker::take(&*other, fixture.worker.batch.shard.clone()).await?.batch.epoch;
    let batches = [("a batch of an older epoch", 1, 2), ("one that starts elsewhere, too", 9, 10)];
    for (what, from, to) in batches {
        let stale = ShardBatch { from: Seq::new(from), ..fixture.batch(to) };
        let refused = store.commit(stale).await;
        ensure_kind!(refused, ErrorKind::Fenced { .. }, "{what}");
        if let Err(error) = &refused
            && let ErrorKind::Fenced { epoch } = error.kind()
        {
            ensure_eq!(*epoch, newest, "the newest epoch in the refusal of {what}");
        }
        fixture.ensure_unchanged(&*store, newest, what).await?;
    }
    Ok(())
}

pub(crate) async fn a_batch_that_starts_elsewhere_is_out_of_order(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let fixture = Fixture::new(&*store).await?;
    for (what, from, to) in [
        ("a batch that starts too early", 0, 2),
        ("one that leaves a gap", 2, 3),
        ("one that moves nothing", 0, 0),
    ] {
        let misplaced = ShardBatch { from: Seq::new(from), ..fixture.batch(to) };
        let refused = store.commit(misplaced).await;
        ensure_kind!(refused, ErrorKind::OutOfOrder { .. }, "{what}");
        if let Err(error) = &refused
            && let ErrorKind::OutOfOrder { at } = error.kind()
        {
            ensure_eq!(*at, Seq::new(1), "the stored progress in the refusal of {what}");
        }
        fixture.ensure_unchanged(&*store, fixture.worker.batch.epoch, what).await?;
    }
    Ok(())
}

pub(crate) async fn a_batch_of_another_incarnation_is_rewound(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let fixture = Fixture::new(&*store).await?;
    let strange = ShardBatch { incarnation: Incarnation(Uuid::from_u128(1)), ..fixture.batch(2) };
    let what = "a batch of an incarnation that never was";
    ensure_kind!(store.commit(strange).await, ErrorKind::Rewound, "{what}");
    fixture.ensure_unchanged(&*store, fixture.worker.batch.epoch, what).await
}

pub(crate) async fn a_batch_that_ends_where_it_starts_moves_nothing(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let mut fixture = Fixture::new(&*store).await?;
    fixture.worker.commit(&*store, 1, vec![put(&fixture.table, "a", 7), put(&fixture.table, "b", 8)]).await?;
    let stored = progress(&*store, &fixture.worker.batch.shard).await?.seq;
    ensure_eq!(stored, Seq::new(1), "progress after a batch with to == from");
    let found = values(&*store, &fixture.table, &["a", "b"]).await?;
    ensure_eq!(found, [Some(7), Some(8)], "views after a batch with to == from");
    fixture.worker.commit(&*store, 2, Vec::new()).await?;
    let stored = progress(&*store, &fixture.worker.batch.shard).await?.seq;
    ensure_eq!(stored, Seq::new(2), "progress after a batch without operations");
    Ok(())
}

pub(crate) async fn unknown_and_skipped_events_are_counted_in_the_same_commit(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let shard = shard("Balance", 1);
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    let counted = async || {
        let stored = progress(&*store, &shard).await?;
        Ok::<_, Stop>((stored.unknown_events, stored.skipped_events))
    };
    // A batch that moves nothing counts, too: it is a page that is tried again.
    for (to, counts, total) in
        [(3, (2, 1), (2, 1)), (4, (0, 0), (2, 1)), (9, (5, 0), (7, 1)), (9, (0, 4), (7, 5))]
    {
        (worker.batch.unknown_events, worker.batch.skipped_events) = counts;
        worker.commit(&*store, to, Vec::new()).await?;
        ensure_eq!(counted().await?, total, "unknown and skipped events counted up to {to}");
    }
    worker.batch.from = Seq::ZERO;
    let refused = store.commit(worker.next(10, Vec::new())).await;
    ensure_kind!(refused, ErrorKind::OutOfOrder { .. }, "a batch that starts too early");
    ensure_eq!(counted().await?, (7, 5), "unknown and skipped events counted after a batch was refused");
    Worker::take(&*store, shard.clone()).await?;
    ensure_eq!(counted().await?, (7, 5), "unknown and skipped events counted after the shard was taken");
    Ok(())
}

pub(crate) async fn dropping_a_commit_leaves_nothing_half_done(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let (balance, shard) = (table("Balance", 1), shard("Balance", 1));
    let ids: Vec<String> = (0..20).map(|n| format!("v{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut to = 0;
    for polls in 0..200 {
        // Taking the shard waits for a commit that was given up and is still on its way.
        let worker = Worker::take(&*store, shard.clone()).await?;
        let at = worker.batch.from;
        let found = values(&*store, &balance, &ids).await?;
        let wanted = vec![(at > Seq::ZERO).then_some(at.get()); ids.len()];
        ensure_eq!(found, wanted, "views at progress {at}, after a commit was dropped at poll {polls}");
        let events = texts(&*store, "s").await?;
        let said = events.last().map_or("0".into(), |text| text.as_str().unwrap_or_default().to_owned());
        ensure_eq!(said, at.to_string(), "the last event that a batch has appended, at progress {at}");
        to += 1;
        let mut operations: Vec<Operation> = ids.iter().map(|id| put(&balance, id, to)).collect();
        operations.push(Operation::Append {
            tenant: TenantId::default(),
            stream: stream("s"),
            events: vec![event(&to.to_string())],
        });
        let batch = worker.next(to, operations);
        if let Some(done) = poll_times(polls, store.commit(batch)).await {
            done?;
            let at = progress(&*store, &shard).await?.seq;
            ensure_eq!(at, Seq::new(to), "progress after a commit that was answered");
            return Ok(());
        }
    }
    Err(Stop::Skipped("a commit of this store asks to be polled more than 200 times".into()))
}

pub(crate) async fn views_of_two_tables_or_tenants_never_meet(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let tables = [table("Balance", 1), table("Balance", 2), table("Ride", 1)];
    let owners = [("", "x"), ("a", "x"), ("a:x", "x"), ("a", "x:x"), ("A", "x"), ("a", "X")];
    let keys = owners.map(|(owner, id)| {
        let tenant = if owner.is_empty() { TenantId::default() } else { tenant(owner) };
        ViewKey { tenant, ..key(id) }
    });
    let everywhere = || tables.iter().flat_map(|table| keys.iter().map(move |key| (table, key)));
    let mut stores = Vec::new();
    for (nth, (table, key)) in (1..).zip(everywhere()) {
        let view = view(nth, Seq::new(nth));
        stores.push(Operation::Store { table: table.clone(), key: key.clone(), view });
    }
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    worker.commit(&*store, 1, stores).await?;
    let mut wanted: Vec<Option<u64>> = (1..).zip(everywhere()).map(|(nth, _)| Some(nth)).collect();
    ensure_eq!(load_all(&*store, &tables, &keys).await?, wanted, "views under equal ids");

    let gone = Operation::Delete { table: tables[1].clone(), key: keys[1].clone() };
    worker.commit(&*store, 2, vec![gone]).await?;
    wanted[keys.len() + 1] = None;
    ensure_eq!(load_all(&*store, &tables, &keys).await?, wanted, "views after one of them was deleted");

    let query = query(&tables[0], &tenant("a"), None, 10);
    let found: Vec<String> = store.query(query).await?.iter().map(|(id, _)| id.to_string()).collect();
    ensure_eq!(found, ["X", "x", "x:x"], "ids of one tenant's views in one table");
    Ok(())
}

pub(crate) async fn loading_answers_in_the_order_of_the_keys(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let balance = table("Balance", 1);
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    let stored = [("a", 1), ("b", 2), ("c", 3), ("d", 4)];
    worker.commit(&*store, 1, stored.map(|(id, value)| put(&balance, id, value)).into()).await?;
    let ids = ["c", "missing", "a", "d", "zzz", "b", "c"];
    let found = values(&*store, &balance, &ids).await?;
    ensure_eq!(found, [Some(3), None, Some(1), Some(4), None, Some(2), Some(3)], "views of {ids:?}");
    ensure_eq!(values(&*store, &balance, &[]).await?.len(), 0, "answers to no keys");
    Ok(())
}

pub(crate) async fn a_query_is_in_bytewise_order_after_an_id_up_to_the_limit(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let balance = table("Balance", 1);
    let mut ids =
        ["b", "B", "a", "\u{e4}", "a b", "a-b", "a_b", "ab", "Z", "10", "9", "~", "\u{1f9a6}", "'", "A"];
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    let mut stores: Vec<Operation> = (1..).zip(ids).map(|(nth, id)| put(&balance, id, nth)).collect();
    let foreign = ViewKey { tenant: tenant("acme"), ..key("aa") };
    let view = view(99, Seq::new(99));
    stores.push(Operation::Store { table: balance.clone(), key: foreign, view });
    worker.commit(&*store, 1, stores).await?;
    ids.sort_unstable();

    let default = TenantId::default();
    let all = store.query(query(&balance, &default, None, 100)).await?;
    ensure_eq!(names(&all), ids, "ids of all views");
    ensure!(all.iter().all(|(_, view)| value(view).is_ok()), "a query gave views changed: {all:?}");
    for limit in [1, 4, 15] {
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = store.query(query(&balance, &default, after.clone(), limit)).await?;
            ensure!(page.len() <= limit, "{} views where {limit} were asked for", page.len());
            let Some((last, _)) = page.last() else { break };
            ensure!(after.as_ref() < Some(last), "the views after {after:?} end with {last:?}");
            after = Some(last.clone());
            paged.extend(page);
        }
        ensure_eq!(names(&paged), ids, "ids in pages of {limit}");
    }
    let absent = ViewId::new("a0")?;
    let found = store.query(query(&balance, &default, Some(absent), 2)).await?;
    ensure_eq!(names(&found), ["a_b", "ab"], "two ids after \"a0\", which no view has");
    Ok(())
}

/// A shard at progress 1, with one view.
struct Fixture {
    table: ViewTable,
    worker: Worker,
}

impl Fixture {
    async fn new(store: &dyn Store) -> Result<Self, Stop> {
        let table = table("Balance", 1);
        let mut worker = Worker::take(store, shard("Balance", 1)).await?;
        worker.commit(store, 1, vec![put(&table, "a", 1)]).await?;
        Ok(Self { table, worker })
    }

    /// A batch that would change a view, add one, and count unknown events.
    fn batch(&self, to: u64) -> ShardBatch {
        let operations = vec![put(&self.table, "a", 2), put(&self.table, "b", 2), delete(&self.table, "a")];
        ShardBatch { unknown_events: 1, ..self.worker.next(to, operations) }
    }

    async fn ensure_unchanged(&self, store: &dyn Store, epoch: Epoch, after: &str) -> Outcome {
        let found = values(store, &self.table, &["a", "b"]).await?;
        ensure_eq!(found, [Some(1), None], "views after {after}");
        let stored = progress(store, &self.worker.batch.shard).await?;
        let found = (stored.seq, stored.epoch, stored.unknown_events);
        ensure_eq!(found, (Seq::new(1), epoch, 0), "progress, epoch and unknown events after {after}");
        Ok(())
    }
}

async fn load_all(
    store: &dyn Store,
    tables: &[ViewTable],
    keys: &[ViewKey],
) -> Result<Vec<Option<u64>>, Stop> {
    let mut all = Vec::new();
    for table in tables {
        for view in store.load_views(table, keys).await? {
            all.push(view.as_ref().map(value).transpose()?);
        }
    }
    Ok(all)
}

fn query(table: &ViewTable, tenant: &TenantId, after: Option<ViewId>, limit: usize) -> ViewQuery {
    ViewQuery { tenant: tenant.clone(), after, ..ViewQuery::new(table.clone(), at_most(limit)) }
}

fn names(views: &[(ViewId, ermine_core::StoredView)]) -> Vec<&str> {
    views.iter().map(|(id, _)| id.as_str()).collect()
}
