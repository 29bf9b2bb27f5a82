//! What a batch can do beside storing and deleting one view.

use std::collections::BTreeMap;

use ermine_core::{
    ErrorKind, EventId, Filter, NewEvent, Operation, Seq, ShardBatch, StreamId, TenantId, Version, ViewId,
    ViewQuery, ViewTable, field, ports::Store,
};
use serde_json::{Value as Json, json};

use crate::{
    Outcome, Stop,
    bench::{
        Bench, Worker, at_most, batch, delete, event, foreign, key, last, log, message, observe, outbox,
        progress, put, shard, stream, table, tenant, texts, values,
    },
    cases::outbox::{pending, publish},
    documents::{Document, ensure_same_documents, everything, put_document, query},
    outcome::{ensure, ensure_eq, ensure_kind},
    random::Random,
};

pub(crate) async fn progress_of_members_moves_with_the_batch(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let (shard, known, new) = (shard("Balance", 1), shard("Ride", 1), shard("Ride", 2));
    Worker::take(&*store, known.clone()).await?;
    let epoch = Worker::take(&*store, known.clone()).await?.batch.epoch;
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    worker.batch.members = vec![new.clone(), known.clone()];
    worker.batch.unknown_events = 1;
    for to in [5, 5, 9] {
        worker.commit(&*store, to, vec![put(&table("Balance", 1), "a", to)]).await?;
        let all = store.read_progress().await?;
        let found: Vec<_> = all.iter().map(|progress| (&progress.shard, progress.seq.get())).collect();
        ensure_eq!(found, [(&shard, to), (&known, to), (&new, to)], "progress after a batch to {to}");
    }
    ensure_eq!(progress(&*store, &known).await?.epoch, epoch, "the epoch of a member that was taken before");
    let misplaced = ShardBatch { from: Seq::new(2), ..worker.next(20, Vec::new()) };
    let refused = store.commit(misplaced).await;
    ensure_kind!(refused, ErrorKind::OutOfOrder { .. }, "a batch that starts too early");
    ensure_eq!(progress(&*store, &new).await?.seq, Seq::new(9), "progress of a member after a refusal");
    let taken = Worker::take(&*store, new.clone()).await?;
    ensure_eq!(taken.batch.from, Seq::new(9), "where a member starts that is taken by itself");
    worker.commit(&*store, 12, Vec::new()).await?;
    let stored = progress(&*store, &new).await?;
    ensure_eq!(
        (stored.seq, stored.epoch),
        (Seq::new(12), taken.batch.epoch),
        "a member that was taken meanwhile"
    );
    Ok(())
}

pub(crate) async fn deleting_where_removes_what_matches_at_that_point(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let balance = table("Balance", 1);
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    let (default, acme) = (TenantId::default(), tenant("acme"));
    let put = |tenant, id, km: u64| put_document(&balance, tenant, &(key(id).id, json!({"km": km})));
    let remove = |tenant: &TenantId, filter| delete_where(&balance, tenant, filter);
    let long = field("km")?.ge(100);
    let mixed = vec![
        put(&default, "before", 100),
        put(&default, "short", 99),
        put(&acme, "before", 100),
        remove(&default, long.clone()),
        put(&default, "after", 100),
        put(&default, "grows", 1),
        put(&default, "grows", 100),
    ];
    worker.commit(&*store, 1, mixed).await?;
    ensure_ids(&*store, &everything(&balance), &["after", "grows", "short"]).await?;
    ensure_ids(&*store, &ViewQuery { tenant: acme.clone(), ..everything(&balance) }, &["before"]).await?;

    let shrinks = vec![put(&default, "grows", 2), remove(&default, long), delete(&balance, "grows")];
    worker.commit(&*store, 2, shrinks).await?;
    ensure_ids(&*store, &everything(&balance), &["short"]).await?;
    let other = table("Ride", 1);
    let everywhere = Filter::And(Vec::new());
    worker.commit(&*store, 3, vec![delete_where(&other, &default, everywhere.clone())]).await?;
    ensure_ids(&*store, &everything(&balance), &["short"]).await?;
    worker.commit(&*store, 4, vec![remove(&acme, everywhere)]).await?;
    ensure_ids(&*store, &ViewQuery { tenant: acme, ..everything(&balance) }, &[]).await?;
    at_random(&*store, &mut worker, &balance).await
}

/// Batches of all that can happen to documents, against a model that does it one by one.
async fn at_random(store: &dyn Store, worker: &mut Worker, table: &ViewTable) -> Outcome {
    const ROUNDS: u64 = 60;
    let mut random = Random::new(20);
    let tenants = [TenantId::default(), tenant("acme")];
    let ids: Vec<ViewId> = (0..40).map(|nth| random.id(nth)).collect();
    let mut model: [BTreeMap<ViewId, Json>; 2] = Default::default();
    worker.commit(store, 10, vec![delete_where(table, &tenants[0], Filter::And(Vec::new()))]).await?;
    for round in 11..=10 + ROUNDS {
        let mut operations = Vec::new();
        for _ in 0..30 {
            let who = random.below(2);
            let id = random.pick(&ids).clone();
            let (tenant, theirs) = (&tenants[who], &mut model[who]);
            match random.below(10) {
                0 => {
                    let filter = random.filter(2);
                    theirs.retain(|_, document| !filter.matches(document));
                    operations.push(delete_where(table, tenant, filter));
                }
                1 => {
                    theirs.remove(&id);
                    let key = ermine_core::ViewKey { tenant: tenant.clone(), id };
                    operations.push(Operation::Delete { table: table.clone(), key });
                }
                _ => {
                    let document = (id, random.document());
                    operations.push(put_document(table, tenant, &document));
                    theirs.insert(document.0, document.1);
                }
            }
        }
        let told: Vec<String> = operations.iter().map(tell).collect();
        worker.commit(store, round, operations).await?;
        for (tenant, theirs) in tenants.iter().zip(&model) {
            let found = query(store, ViewQuery { tenant: tenant.clone(), ..everything(table) }).await?;
            let wanted: Vec<Document> =
                theirs.iter().map(|(id, document)| (id.clone(), document.clone())).collect();
            ensure_same_documents(&found, &wanted, || {
                format!("tenant {tenant:?} after {}", told.join("; "))
            })?;
        }
    }
    Ok(())
}

/// An operation without what does not matter to a reader.
fn tell(operation: &Operation) -> String {
    match operation {
        Operation::Store { key, view, .. } => format!("store {:?} {} {:?}", key.tenant, key.id, view.body),
        Operation::Delete { key, .. } => format!("delete {:?} {}", key.tenant, key.id),
        Operation::DeleteWhere { tenant, filter, .. } => format!("delete {tenant:?} where {filter:?}"),
        other => format!("{other:?}"),
    }
}

pub(crate) fn delete_where(table: &ViewTable, tenant: &TenantId, filter: Filter) -> Operation {
    Operation::DeleteWhere { table: table.clone(), tenant: tenant.clone(), filter }
}

async fn ensure_ids(store: &dyn Store, query: &ViewQuery, wanted: &[&str]) -> Outcome {
    let views = store.query(query.clone()).await?;
    let found: Vec<&str> = views.iter().map(|(id, _)| id.as_str()).collect();
    ensure_eq!(found, wanted, "ids of tenant {:?}", query.tenant);
    Ok(())
}

pub(crate) async fn appending_in_a_batch_records_what_is_not_recorded_yet(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let balance = table("Balance", 1);
    let known = event("known");
    store
        .append(
            ermine_core::AppendBatch::new()
                .stream(ermine_core::StreamAppend::new(stream("elsewhere"), vec![known.clone()])),
        )
        .await?;
    store.append(batch(&[("a", 2)])).await?;
    let (twice, fresh) = (event("twice"), event("fresh"));
    let operations = vec![
        append("a", &[known.clone(), twice.clone()]),
        append("new", &[event("new 1"), twice.clone(), event("new 2")]),
        put(&balance, "v", 1),
        append("a", std::slice::from_ref(&fresh)),
    ];
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    worker.commit(&*store, 1, operations.clone()).await?;
    let wanted = ["known", "a 1", "a 2", "twice", "new 1", "new 2", "fresh"];
    ensure_texts(&*store, &wanted, "a batch that appends").await?;
    ensure_eq!(texts(&*store, "a").await?, ["a 1", "a 2", "twice", "fresh"], "the stream that was there");
    ensure_eq!(texts(&*store, "new").await?, ["new 1", "new 2"], "the stream that was not");
    ensure_versions(&*store, "a", 4).await?;
    let seen = observe(&*store).await?;
    ensure_eq!(seen.highest_visible.get(), 7, "the highest visible event");

    worker.commit(&*store, 2, operations).await?;
    ensure_texts(&*store, &wanted, "the same events again").await?;
    ensure_eq!(last(&*store).await?.get(), 7, "the last number drawn after the same events again");
    let misplaced = worker.next(9, vec![append("a", &[event("lost")]), put(&balance, "v", 2)]);
    let refused = store.commit(ShardBatch { from: Seq::ZERO, ..misplaced }).await;
    ensure_kind!(refused, ErrorKind::OutOfOrder { .. }, "a batch that starts too early");
    ensure_texts(&*store, &wanted, "a batch that was refused").await?;

    for round in 0..20 {
        let mine = vec![append("a", &[event(&format!("mine {round}"))]), append("shared", &[event("mine")])];
        let theirs = batch(&[("shared", 1), ("a", 1)]);
        let (committed, appended) =
            tokio::join!(worker.commit(&*store, 3 + round, mine), other.append(theirs));
        committed?;
        appended?;
    }
    ensure_versions(&*store, "a", 44).await?;
    ensure_versions(&*store, "shared", 40).await?;
    beside_appends_with_views(&*store, &*other, &mut worker, &balance).await?;
    to_an_archived_stream(&*store, &mut worker, &balance, &fresh).await
}

/// A batch names the view before the stream, and an append takes the stream before the view: both succeed.
async fn beside_appends_with_views(
    store: &dyn Store,
    other: &dyn Store,
    worker: &mut Worker,
    balance: &ViewTable,
) -> Outcome {
    for round in 0..25 {
        let mine = vec![put(balance, "both", 1), append("both", &[event(&format!("mine {round}"))])];
        let theirs = batch(&[("both", 1)]).with_operations(Vec::new(), vec![put(balance, "both", 2)]);
        let (committed, appended) =
            tokio::join!(worker.commit(store, 30 + round, mine), other.append(theirs));
        committed?;
        appended?;
    }
    ensure_versions(store, "both", 50).await
}

async fn to_an_archived_stream(
    store: &dyn Store,
    worker: &mut Worker,
    balance: &ViewTable,
    known: &NewEvent,
) -> Outcome {
    let Some(admin) = store.stream_admin() else { return Ok(()) };
    admin.archive_stream(&TenantId::default(), &stream("a")).await?;
    let before = (log(store).await?.len(), progress(store, &worker.batch.shard).await?.seq);
    let refused =
        worker.next(100, vec![append("b", &[event("b")]), put(balance, "v", 9), append("a", &[event("a")])]);
    ensure_kind!(
        store.commit(refused).await,
        ErrorKind::Archived { .. },
        "a batch that appends to an archived stream"
    );
    let after = (log(store).await?.len(), progress(store, &worker.batch.shard).await?.seq);
    ensure_eq!(after, before, "events and progress after that batch");
    ensure_eq!(values(store, balance, &["v"]).await?, [Some(1)], "a view after that batch");
    worker.commit(store, 100, vec![append("a", std::slice::from_ref(known))]).await?;
    ensure_eq!(log(store).await?.len(), before.0, "events after a batch of events that were recorded before");
    Ok(())
}

fn append(id: &str, events: &[NewEvent]) -> Operation {
    Operation::Append { tenant: TenantId::default(), stream: stream(id), events: events.to_vec() }
}

async fn ensure_texts(store: &dyn Store, wanted: &[&str], after: &str) -> Outcome {
    let events = log(store).await?;
    let found =
        events.iter().map(|event| crate::bench::json(&event.body)).collect::<Result<Vec<_>, Stop>>()?;
    ensure_eq!(found, wanted, "events by number after {after}");
    let mut ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ensure_eq!(ids.len(), wanted.len(), "ids of these events");
    Ok(())
}

async fn ensure_versions(store: &dyn Store, id: &str, count: u64) -> Outcome {
    let id = StreamId::new(id)?;
    let events = store.read_stream(&TenantId::default(), &id, Version::ZERO, at_most(1000)).await?;
    let versions: Vec<u64> = events.iter().map(|event| event.version.get()).collect();
    let wanted: Vec<u64> = (1..=count).collect();
    ensure_eq!(versions, wanted, "versions of stream {id}");
    ensure!(events.windows(2).all(|two| two[0].seq < two[1].seq), "numbers do not ascend in stream {id}");
    Ok(())
}

pub(crate) async fn a_message_is_kept_once_in_the_order_of_commits(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    outbox(&*store)?;
    let balance = table("Balance", 1);
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    let mut operations = publish(&[5, 1, 5]);
    operations.push(put(&balance, "a", 1));
    worker.commit(&*store, 1, operations).await?;
    ensure_eq!(pending(&*other, 100).await?, [5, 1], "messages of a batch that publishes one of them twice");
    worker.commit(&*store, 2, publish(&[1, 3, 5])).await?;
    ensure_eq!(pending(&*store, 100).await?, [5, 1, 3], "messages after another batch publishes them again");

    let mut refused = publish(&[8]);
    refused.push(put(&balance, "a", 8));
    let refused = ShardBatch { from: Seq::ZERO, ..worker.next(3, refused) };
    ensure_kind!(store.commit(refused).await, ErrorKind::OutOfOrder { .. }, "a batch that starts too early");
    ensure_eq!(pending(&*store, 100).await?, [5, 1, 3], "messages after a batch was refused");

    let changed = ermine_core::Message { topic: "changed".into(), ..message(3) };
    worker.commit(&*store, 3, vec![Operation::Publish(changed)]).await?;
    let kept = outbox(&*store)?.pending_messages(at_most(100)).await?;
    ensure_eq!(kept[2].topic, message(3).topic, "the topic of a message after another of its id");
    visible_with_its_batch(&*store, &*other, &mut worker, &balance).await
}

/// Reads views and messages while batches of both are committed; there are messages already.
async fn visible_with_its_batch(
    store: &dyn Store,
    other: &dyn Store,
    worker: &mut Worker,
    balance: &ViewTable,
) -> Outcome {
    const ROUNDS: u64 = 30;
    let start = worker.batch.from.get();
    let there = pending(store, 1000).await?.len() as u64;
    let write = async {
        for nth in 1..=ROUNDS {
            let mut operations = publish(&[1000 + nth]);
            operations.push(put(balance, "b", nth));
            worker.commit(store, start + nth, operations).await?;
        }
        Ok::<(), Stop>(())
    };
    let read = async {
        loop {
            let before = pending(other, 1000).await?.len() as u64 - there;
            let seen = values(other, balance, &["b"]).await?[0].unwrap_or(0);
            let after = pending(other, 1000).await?.len() as u64 - there;
            ensure!(
                before <= seen && seen <= after,
                "there were {before} new messages, then a view of batch {seen}, then {after} new messages"
            );
            if before == ROUNDS {
                return Ok(());
            }
        }
    };
    tokio::try_join!(write, read)?;
    Ok(())
}

pub(crate) async fn a_native_statement_of_another_store_is_refused(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let balance = table("Balance", 1);
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    worker.commit(&*store, 1, vec![put(&balance, "a", 1)]).await?;
    for first in [true, false] {
        let mut operations = vec![put(&balance, "a", 2), put(&balance, "b", 2)];
        operations.insert(if first { 0 } else { 2 }, foreign(&balance));
        let refused = store.commit(worker.next(2, operations)).await;
        ensure_kind!(refused, ErrorKind::Configuration, "a batch with a statement of another store");
        if let Err(error) = &refused {
            let said = error.chain();
            ensure!(
                said.contains("nobody") && said.contains(store.kind()) || store.kind() == "mutant",
                "the refusal does not name both stores: {said:?}"
            );
        }
        let found = values(&*store, &balance, &["a", "b"]).await?;
        ensure_eq!(found, [Some(1), None], "views after the refusal");
        let stored = progress(&*store, &worker.batch.shard).await?;
        ensure_eq!(
            (stored.seq, stored.epoch),
            (Seq::new(1), worker.batch.epoch),
            "progress after the refusal"
        );
    }
    worker.commit(&*store, 2, vec![put(&balance, "a", 2)]).await
}
