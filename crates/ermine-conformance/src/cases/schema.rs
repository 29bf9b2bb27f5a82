use ermine_core::{
    ColumnKind, ErrorKind, LetterQuery, Seq, Statistics, TenantId, Value, ViewQuery, field,
    ports::Registration,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    Outcome, Stop,
    bench::{
        Bench, Worker, batch, key, log, observe, progress, put, registration, shard, stream, table, texts,
        values,
    },
    cases::{
        letters::parking,
        outbox::{pending, publish},
        wishes::wish,
    },
    documents::{Document, ensure_same_documents, everything, put_document, query},
    outcome::{ensure, ensure_eq, ensure_kind},
    sheet::{Cell, EVERY_KIND, full_row, sheet},
};

pub(crate) async fn migrating_is_idempotent_and_safe_from_many_nodes(bench: &Bench<'_>) -> Outcome {
    let mut nodes = JoinSet::new();
    for _ in 0..8 {
        let node = bench.other().await?;
        nodes.spawn(async move { node.migrate(&registration()).await });
    }
    while let Some(migrated) = nodes.join_next().await {
        migrated.map_err(|e| Stop::Broken(format!("a migration panicked: {e}")))??;
    }
    let store = bench.fresh();
    store.migrate(&registration()).await?;
    store.check(&registration()).await?;
    let position = store.append(batch(&[("a", 1)])).await?.position.seq();
    ensure_eq!(position, Seq::new(1), "the first number after nodes migrated at once");
    Ok(())
}

pub(crate) async fn migrating_keeps_what_is_stored(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let (balance, shard) = (table("Balance", 1), shard("Balance", 1));
    store.append(batch(&[("a", 2), ("b", 1)])).await?;
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    worker.commit(&*store, 3, vec![put(&balance, "a", 3)]).await?;
    let before = (log(&*store).await?, progress(&*store, &shard).await?);

    let mut more = registration();
    more.tables.push(table("Latecomer", 1).into());
    for registration in [&more, &Registration::default(), &registration()] {
        store.migrate(registration).await?;
        let after = (log(&*store).await?, progress(&*store, &shard).await?);
        ensure_eq!(after, before, "events and progress after another migration");
        ensure_eq!(values(&*store, &balance, &["a"]).await?, [Some(3)], "a view after another migration");
    }
    store.check(&more).await?;
    worker.commit(&*store, 4, vec![put(&table("Latecomer", 1), "l", 1)]).await?;
    ensure_eq!(store.append(batch(&[("a", 1)])).await?.version().get(), 3, "the next version of a stream");
    Ok(())
}

pub(crate) async fn new_columns_are_added_and_other_changes_are_refused(bench: &Bench<'_>) -> Outcome {
    let narrow = [("must", ColumnKind::Integer, false), ("may", ColumnKind::Text, true)];
    let store = bench.ready_with([sheet(&narrow).into()]).await?;
    store.append(batch(&[("a", 2)])).await?;
    let mut worker = Worker::take(&*store, shard("Sheet", 1)).await?;
    let default = TenantId::default();
    let old: Document = (key("old").id, json!({"must": 1, "may": "text"}));
    worker.commit(&*store, 1, vec![put_document(&sheet(&narrow), &default, &old)]).await?;

    let mut wide = EVERY_KIND.to_vec();
    wide.retain(|(_, _, nullable)| *nullable);
    wide.splice(1..1, narrow);
    let wide_sheet = sheet(&wide);
    let migrated = Registration { tables: vec![wide_sheet.clone().into()] };
    for _ in 0..2 {
        store.migrate(&migrated).await?;
    }
    store.check(&migrated).await?;
    let widened =
        json!({"must": 1, "may": "text", "t": null, "n": null, "r": null, "b": null, "at": null, "j": null});
    let new = json!({"must": 2, "may": null, "t": "t", "n": 1, "r": 0.5, "b": true,
        "at": "2026-01-31T12:00:00.000000Z", "j": {"a": []}});
    let new: Document = (key("new").id, new);
    worker.commit(&*store, 2, vec![put_document(&wide_sheet, &default, &new)]).await?;
    let rows = [new, (old.0, widened)];
    ensure_same_documents(&query(&*store, everything(&wide_sheet)).await?, &rows, || {
        "rows of the wide table".into()
    })?;
    let asked = ViewQuery { filter: Some(field("t")?.eq(Value::Null)), ..everything(&wide_sheet) };
    ensure_same_documents(&query(&*store, asked).await?, &rows[1..], || {
        "rows without the new column".into()
    })?;

    for (what, columns) in changes(&wide) {
        let changed = Registration { tables: vec![sheet(&columns).into()] };
        let refused = store.migrate(&changed).await;
        ensure_kind!(refused, ErrorKind::Refused, "a migration with {what}");
        if let Err(error) = refused {
            let said = error.chain();
            ensure!(said.contains("version"), "the refusal of {what} does not say what to do: {said:?}");
        }
    }
    let changed = Registration { tables: vec![table("Sheet", 1).into()] };
    ensure_kind!(store.migrate(&changed).await, ErrorKind::Refused, "a migration from columns to documents");
    store.check(&migrated).await?;
    let found = query(&*store, everything(&wide_sheet)).await?;
    ensure_same_documents(&found, &rows, || "rows after refused migrations".into())
}

/// What cannot be done to the columns of a table with rows.
fn changes(columns: &[Cell]) -> Vec<(&'static str, Vec<Cell>)> {
    let change = |change: &dyn Fn(&mut Vec<Cell>)| {
        let mut columns = columns.to_vec();
        change(&mut columns);
        columns
    };
    let of = |columns: &mut Vec<Cell>, name: &str, with: fn(&mut Cell)| {
        columns.iter_mut().filter(|(column, ..)| *column == name).for_each(with);
    };
    vec![
        ("a column of another kind", change(&|all| of(all, "n", |cell| cell.1 = ColumnKind::Real))),
        ("a column that must not be null any more", change(&|all| of(all, "may", |cell| cell.2 = false))),
        ("a column that may be null now", change(&|all| of(all, "must", |cell| cell.2 = true))),
        ("a column less", change(&|all| all.retain(|(name, ..)| *name != "t"))),
        ("a new column that must not be null", change(&|all| all.push(("extra", ColumnKind::Text, false)))),
    ]
}

pub(crate) async fn resetting_leaves_nothing_and_begins_another_incarnation(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready_with([sheet(&EVERY_KIND).into()]).await?, bench.other().await?);
    let mut registration = registration();
    registration.tables.push(sheet(&EVERY_KIND).into());
    let events = batch(&[("a", 2), ("b", 1)]);
    let rows = sheet(&EVERY_KIND);
    let mut before = observe(&*store).await?.incarnation;
    for _ in 0..2 {
        // Everything there can be, and the same after each reset.
        ensure_eq!(
            store.append(events.clone()).await?.position.seq(),
            Seq::new(3),
            "the last of three numbers"
        );
        if let Some(admin) = store.stream_admin() {
            admin.archive_stream(&TenantId::default(), &stream("a")).await?;
            admin.skip_events(&[Seq::new(1)], "why not").await?;
        }
        let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
        let mut operations = if store.outbox().is_some() { publish(&[1]) } else { Vec::new() };
        let row = (key("row").id, full_row(json!({})));
        operations
            .extend([put(&table("Balance", 1), "a", 1), put_document(&rows, &TenantId::default(), &row)]);
        if store.dead_letters().is_some() {
            worker.batch.letters = parking(&worker.batch.shard);
        }
        worker.commit(&*store, 3, operations).await?;
        if let Some(wishes) = store.wishes() {
            wishes.put_wish(wish("Balance:All", 1)).await?;
        }
        let stale = worker.next(4, Vec::new());

        store.reset(&registration).await?;
        let after = observe(&*other).await?;
        ensure!(before != after.incarnation, "the incarnation is the same after a reset");
        ensure_eq!(
            (after.last, after.highest_visible),
            (Seq::ZERO, Seq::ZERO),
            "the last and highest number"
        );
        let empty = Statistics { events: 0, streams: 0, highest: Seq::ZERO };
        ensure_eq!(other.statistics().await?, empty, "what the store holds");
        ensure_eq!(other.read_progress().await?, [], "progress");
        ensure_eq!(values(&*other, &table("Balance", 1), &["a"]).await?, [None], "a view");
        ensure_eq!(other.count(everything(&rows)).await?, 0, "rows");
        ensure_eq!(texts(&*other, "a").await?.len(), 0, "events of a stream");
        if other.outbox().is_some() {
            ensure_eq!(pending(&*other, 10).await?, [0; 0], "pending messages");
        }
        if let Some(letters) = other.dead_letters() {
            ensure_eq!(letters.letters(LetterQuery::default()).await?, [], "dead letters");
            ensure_eq!(letters.parked_keys(&worker.batch.shard).await?, [], "parked keys");
        }
        if let Some(wishes) = other.wishes() {
            ensure_eq!(wishes.wishes().await?, [], "wishes");
        }
        ensure_kind!(other.commit(stale).await, ErrorKind::Rewound, "a batch from before the reset");
        store.check(&registration).await?;
        before = after.incarnation;
    }
    Ok(())
}

pub(crate) async fn a_store_that_was_not_migrated_is_refused(bench: &Bench<'_>) -> Outcome {
    let store = bench.fresh();
    let refused = store.check(&registration()).await;
    ensure_kind!(refused, ErrorKind::Refused, "a check of a store that has not been migrated");
    if let Err(error) = refused {
        let said = error.chain();
        ensure!(said.to_lowercase().contains("migrat"), "the refusal does not say what to do: {said:?}");
    }
    Ok(())
}

pub(crate) async fn a_store_whose_promises_hold_passes(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    for round in 1..=2 {
        let checks = store.check(&registration()).await?;
        ensure!(!checks.is_empty(), "check number {round} passed and says nothing of what holds");
        ensure!(checks.iter().all(|check| !check.what.is_empty()), "a check of nothing: {checks:?}");
        let position = store.append(batch(&[("a", 2)])).await?.position.seq();
        let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
        worker.commit(&*store, position.get(), vec![put(&table("Balance", 1), "a", 1)]).await?;
    }
    Ok(())
}
