//! Views that change together with an append.

use ermine_core::{
    AppendBatch, Body, ErrorKind, ExpectedVersion, Operation, Seq, StoredView, StreamAppend, TenantId, Value,
    Version, ViewPin, ViewTable, field, ports::Store,
};

use crate::{
    Outcome, Stop,
    bench::{
        Bench, batch, delete, event, foreign, key, last, log, message, pin, poll_times, put_inline, stream,
        table, tenant, texts, values, view,
    },
    outcome::{ensure, ensure_eq, ensure_kind},
};

pub(crate) async fn operations_take_effect_with_the_events_or_not_at_all(bench: &Bench<'_>) -> Outcome {
    const ROUNDS: u64 = 40;
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let balance = table("Balance", 1);
    let write = async {
        for nth in 1..=ROUNDS {
            let pins = vec![pin(&balance, "a", (nth > 1).then(|| nth - 1))];
            let both = vec![put_inline(&balance, "a", nth), put_inline(&balance, "b", nth)];
            store.append(batch(&[("s", 1)]).with_operations(pins, both)).await?;
        }
        Ok::<(), Stop>(())
    };
    let read = async {
        loop {
            let before = head(&*other, "s").await?;
            let views = values(&*other, &balance, &["a", "b"]).await?;
            let after = head(&*other, "s").await?;
            ensure_eq!(views[0], views[1], "two views of one append");
            let seen = views[0].unwrap_or(0);
            ensure!(
                before <= seen && seen <= after,
                "the views are of event {seen}, and the stream went from {before} to {after} meanwhile"
            );
            if before == ROUNDS {
                return Ok(());
            }
        }
    };
    tokio::try_join!(write, read)?;
    let loaded = store.load_views(&balance, &[key("a")]).await?;
    ensure_eq!(loaded, [Some(view(ROUNDS, Seq::ZERO))], "a view as it was stored");
    refusals_change_nothing(&*store, &balance).await?;
    dropping_leaves_nothing_half_done(&*store, &balance).await?;
    opposite_orders_both_succeed(&*store, &*other).await?;

    let theirs = Operation::Store {
        table: balance.clone(),
        key: ermine_core::ViewKey { tenant: tenant("acme"), ..key("a") },
        view: view(7, Seq::ZERO),
    };
    let all = Operation::DeleteWhere {
        table: balance.clone(),
        tenant: TenantId::default(),
        filter: field("member")?.eq(Value::Null),
    };
    let mixed =
        vec![theirs, put_inline(&balance, "c", 1), all, put_inline(&balance, "d", 2), delete(&balance, "d")];
    let mixed = mixed.into_iter().chain([put_inline(&balance, "b", 3)]).collect();
    store.append(batch(&[("s", 1)]).with_operations(Vec::new(), mixed)).await?;
    let found = values(&*store, &balance, &["a", "b", "c", "d"]).await?;
    ensure_eq!(found, [None, Some(3), None, None], "views after all kinds of operations in their order");
    Ok(())
}

async fn refusals_change_nothing(store: &dyn Store, balance: &ViewTable) -> Outcome {
    let before = (log(store).await?, last(store).await?, values(store, balance, &["a", "b", "new"]).await?);
    let append =
        Operation::Append { tenant: TenantId::default(), stream: stream("t"), events: vec![event("t 1")] };
    let late = ExpectedVersion::NoStream;
    let refusals = [
        ("an append that expects no stream, with operations", late, None),
        ("an operation of another store", ExpectedVersion::Any, Some(foreign(balance))),
        ("an operation that appends", ExpectedVersion::Any, Some(append)),
        ("an operation that publishes", ExpectedVersion::Any, Some(Operation::Publish(message(1)))),
    ];
    for (what, expected, extra) in refusals {
        let operations =
            vec![put_inline(balance, "new", 1), delete(balance, "a"), put_inline(balance, "b", 99)];
        let operations = operations.into_iter().chain(extra).collect();
        let append = StreamAppend::new(stream("s"), vec![event("s")]).expecting(expected);
        let append = AppendBatch::new().stream(append).with_operations(Vec::new(), operations);
        let refused = store.append(append).await;
        ensure_kind!(refused, ErrorKind::VersionConflict(_) | ErrorKind::Configuration, "{what}");
        let after =
            (log(store).await?, last(store).await?, values(store, balance, &["a", "b", "new"]).await?);
        ensure_eq!(after, before, "events, the last number and views after {what}");
    }
    Ok(())
}

/// Gives appends up at every poll until one is answered; each stores what its event says.
async fn dropping_leaves_nothing_half_done(store: &dyn Store, balance: &ViewTable) -> Outcome {
    let mut nth = 0;
    let mut answered = false;
    while !answered && nth < 200 {
        nth += 1;
        let append = StreamAppend::new(stream("drops"), vec![event(&nth.to_string())]);
        let operations = vec![put_inline(balance, "drops", nth), put_inline(balance, "beside", nth)];
        let append = AppendBatch::new().stream(append).with_operations(Vec::new(), operations);
        let polls = usize::try_from(nth).unwrap_or(usize::MAX);
        if let Some(done) = poll_times(polls, store.append(append)).await {
            done?;
            answered = true;
        }
        // One that was given up may still land meanwhile.
        let before = texts(store, "drops").await?;
        let views = values(store, balance, &["drops", "beside"]).await?;
        let after = texts(store, "drops").await?;
        ensure_eq!(views[0], views[1], "two views of one append that may have been dropped");
        let seen = views[0].map(|value| value.to_string().into());
        let since = before.len().saturating_sub(1);
        let fits = match seen {
            None => before.is_empty(),
            Some(seen) => after[since..].contains(&seen),
        };
        ensure!(fits, "events {before:?}, then the view of {:?}, then events {after:?}", views[0]);
    }
    Ok(())
}

/// Views of two tables, changed by appends in opposite orders.
async fn opposite_orders_both_succeed(store: &dyn Store, other: &dyn Store) -> Outcome {
    let (balance, ride) = (table("Balance", 1), table("Ride", 1));
    for round in 0..25 {
        let mut changes: Vec<Operation> = ["x", "y", "z"]
            .iter()
            .flat_map(|id| [put_inline(&balance, id, round), put_inline(&ride, id, round)])
            .collect();
        let forward = batch(&[("f", 1)]).with_operations(Vec::new(), changes.clone());
        changes.reverse();
        let backward = batch(&[("b", 1)]).with_operations(Vec::new(), changes);
        let (one, two) = tokio::join!(store.append(forward), other.append(backward));
        one?;
        two?;
    }
    Ok(())
}

pub(crate) async fn a_view_conflict_names_both_versions_and_draws_no_number(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let (balance, ride) = (table("Balance", 1), table("Ride", 1));
    let first = vec![put_inline(&balance, "a", 3), put_inline(&ride, "a", 4)];
    store.append(batch(&[("s", 1)]).with_operations(Vec::new(), first)).await?;
    let before = (last(&*store).await?, log(&*store).await?.len());
    let ok = pin(&ride, "a", Some(4));
    for (id, expected, actual) in
        [("a", Some(2), Some(3)), ("a", Some(4), Some(3)), ("a", None, Some(3)), ("b", Some(1), None)]
    {
        let pins = vec![ok.clone(), pin(&balance, id, expected)];
        let changes = vec![put_inline(&ride, "a", 5), put_inline(&balance, id, 9)];
        let refused = store.append(batch(&[("s", 1), ("t", 1)]).with_operations(pins, changes)).await;
        let what = format!("view {id} pinned at {expected:?}, which is at {actual:?}");
        ensure_kind!(refused, ErrorKind::ViewConflict(_), "{what}");
        if let Err(error) = &refused
            && let ErrorKind::ViewConflict(conflict) = error.kind()
        {
            ensure_eq!(
                (&conflict.table, &conflict.key),
                (&balance, &key(id)),
                "the view in conflict: {what}"
            );
            let versions = (conflict.expected, conflict.actual);
            let wanted = (expected.map(Version::new), actual.map(Version::new));
            ensure_eq!(versions, wanted, "the versions in conflict: {what}");
        }
        let after = (last(&*store).await?, log(&*store).await?.len());
        ensure_eq!(after, before, "the last number and the count of events: {what}");
        let views = (values(&*store, &balance, &["a", "b"]).await?, values(&*store, &ride, &["a"]).await?);
        ensure_eq!(views, (vec![Some(3), None], vec![Some(4)]), "the views: {what}");
    }
    // Pins that hold, of views that change and of one that does not.
    let pins = vec![ok, pin(&balance, "a", Some(3)), pin(&balance, "b", None)];
    let changes = vec![put_inline(&balance, "b", 1), delete(&balance, "a")];
    store.append(batch(&[("s", 1)]).with_operations(pins, changes)).await?;
    let views = (values(&*store, &balance, &["a", "b"]).await?, values(&*store, &ride, &["a"]).await?);
    ensure_eq!(views, (vec![None, Some(1)], vec![Some(4)]), "the views after pins that held");

    // Deleted and made again, it has the version that it had.
    let read = store.load_views(&balance, &[key("b")]).await?.into_iter().next().flatten();
    let read = read.ok_or(Stop::Broken("view b is gone".into()))?;
    let pinned = || ViewPin { body: Some(read.body.clone()), ..pin(&balance, "b", Some(read.version.get())) };
    store.append(batch(&[("s", 1)]).with_operations(vec![pinned()], Vec::new())).await?;
    let again = StoredView { body: Body::encode(&"another")?, ..read.clone() };
    let again = Operation::Store { table: balance.clone(), key: key("b"), view: again };
    store.append(batch(&[("s", 1)]).with_operations(Vec::new(), vec![delete(&balance, "b"), again])).await?;
    let refused = store.append(batch(&[("s", 1)]).with_operations(vec![pinned()], Vec::new())).await;
    ensure_kind!(
        refused,
        ErrorKind::ViewConflict(_),
        "an append that has read a view before it was made again"
    );
    Ok(())
}

pub(crate) async fn one_of_two_appends_that_pin_an_absent_view_is_a_conflict(bench: &Bench<'_>) -> Outcome {
    const ROUNDS: usize = 25;
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let balance = table("Balance", 1);
    for round in 0..ROUNDS {
        let id = format!("v{round}");
        // A store may have ways of its own for what is simple: each meets each.
        let append = |stream: &str, value, is_simple| {
            let (pins, changes) = (vec![pin(&balance, &id, None)], vec![put_inline(&balance, &id, value)]);
            let batch = batch(&[(stream, 1)]).with_operations(pins, changes);
            if is_simple { batch } else { batch.idempotent() }
        };
        let (one, two) = (append("s", 1, round % 2 == 0), append("t", 2, round % 4 < 2));
        let (one, two) = tokio::join!(store.append(one), other.append(two));
        let (winner, refused) = match (one, two) {
            (Ok(_), refused @ Err(_)) => (1, refused),
            (refused @ Err(_), Ok(_)) => (2, refused),
            both => return Err(Stop::Broken(format!("two appends that pin one absent view: {both:?}"))),
        };
        ensure_kind!(refused, ErrorKind::ViewConflict(_), "the append that came second");
        if let Err(error) = &refused
            && let ErrorKind::ViewConflict(conflict) = error.kind()
        {
            let versions = (conflict.expected, conflict.actual);
            ensure_eq!(versions, (None, Some(Version::new(winner))), "the versions in conflict");
        }
        let found = values(&*store, &balance, &[&id]).await?;
        ensure_eq!(found, [Some(winner)], "the view that both would have made");
        ensure_eq!(log(&*store).await?.len(), round + 1, "events after {} rounds", round + 1);
    }
    Ok(())
}

pub(crate) async fn a_repeated_append_does_not_repeat_its_operations(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let balance = table("Balance", 1);
    let changes = vec![put_inline(&balance, "a", 1), delete(&balance, "b")];
    let twice = batch(&[("s", 2)]).idempotent().with_operations(vec![pin(&balance, "a", None)], changes);
    let first = store.append(twice.clone()).await?;
    let since = vec![put_inline(&balance, "a", 5), put_inline(&balance, "b", 6)];
    store.append(batch(&[("t", 1)]).with_operations(vec![pin(&balance, "a", Some(1))], since)).await?;

    let again = bench.other().await?.append(twice).await?;
    ensure!(again.repeated, "the second append does not say that it was a repetition");
    ensure_eq!(again.position, first.position, "the position of a repeated append");
    let found = values(&*store, &balance, &["a", "b"]).await?;
    ensure_eq!(found, [Some(5), Some(6)], "views that have changed since the first time");
    ensure_eq!(log(&*store).await?.len(), 3, "events after a repeated append");
    Ok(())
}

async fn head(store: &dyn Store, id: &str) -> Result<u64, Stop> {
    let heads = store.read_heads(&[(TenantId::default(), stream(id))]).await?;
    ensure_eq!(heads.versions.len(), 1, "answers to the one stream that was asked for");
    Ok(heads.versions[0].get())
}
