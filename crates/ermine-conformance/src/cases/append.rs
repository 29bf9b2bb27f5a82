mod inline;

use std::collections::BTreeSet;

use ermine_core::{
    AppendBatch, ErrorKind, EventFilter, EventId, ExpectedVersion, Seq, StreamAppend, StreamType, TenantId,
    Version, ports::Store,
};

use crate::{
    Outcome, Stop,
    bench::{
        Bench, HAPPENED, at_most, batch, body, event, json, last, log, names, observe, request, stream,
        stream_admin, tenant, texts,
    },
    outcome::{ensure, ensure_eq, ensure_kind},
    random::Random,
};

pub(crate) use inline::{
    a_repeated_append_does_not_repeat_its_operations,
    a_view_conflict_names_both_versions_and_draws_no_number,
    one_of_two_appends_that_pin_an_absent_view_is_a_conflict,
    operations_take_effect_with_the_events_or_not_at_all,
};

pub(crate) async fn all_streams_of_a_batch_are_appended_or_none(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let good = StreamAppend::new(stream("good"), vec![event("good 1")]);
    let bad = StreamAppend::new(stream("bad"), vec![event("bad 1")])
        .expecting(ExpectedVersion::Exact(Version::new(7)));
    let refused = store.append(AppendBatch::new().stream(good).stream(bad)).await;
    ensure_kind!(refused, ErrorKind::VersionConflict(_), "the second stream is not at version 7");
    ensure_eq!(texts(&*store, "good").await?.len(), 0, "events of the good stream of a refused batch");
    ensure_eq!(log(&*store).await?.len(), 0, "events in the log after a refused batch");

    store.append(batch(&[("good", 2), ("bad", 1)])).await?;
    let both = (texts(&*store, "good").await?.len(), texts(&*store, "bad").await?.len());
    ensure_eq!(both, (2, 1), "events of the streams of a batch");
    Ok(())
}

pub(crate) async fn events_of_a_stream_are_numbered_without_holes(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let first = store.append(batch(&[("a", 2), ("b", 1)])).await?;
    ensure_eq!(first.versions, [Version::new(2), Version::new(1)], "versions in the order of the batch");
    let wrong = batch_expecting("a", ExpectedVersion::NoStream);
    ensure_kind!(store.append(wrong).await, ErrorKind::VersionConflict(_), "the stream exists");
    let second = store.append(batch(&[("b", 1), ("a", 3)])).await?;
    ensure_eq!(second.versions, [Version::new(2), Version::new(5)], "versions in the order of the batch");

    let events = store.read_stream(&TenantId::default(), &stream("a"), Version::ZERO, at_most(100)).await?;
    let versions: Vec<u64> = events.iter().map(|event| event.version.get()).collect();
    ensure_eq!(versions, [1, 2, 3, 4, 5], "versions of the stream's events");
    ensure_eq!(texts(&*store, "a").await?, ["a 1", "a 2", "a 1", "a 2", "a 3"], "bodies by version");
    Ok(())
}

pub(crate) async fn sequence_numbers_ascend_in_the_order_of_the_batch(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    // Neither in the order of the names nor of the sizes.
    let appended = store.append(batch(&[("m", 2), ("z", 1), ("a", 3)])).await?;
    let events = log(&*store).await?;
    let told: Vec<_> = events.iter().map(|event| json(&event.body)).collect::<Result<_, _>>()?;
    ensure_eq!(told, ["m 1", "m 2", "z 1", "a 1", "a 2", "a 3"], "events by sequence number");
    let ascend = events.windows(2).all(|two| two[0].seq < two[1].seq);
    ensure!(ascend, "sequence numbers do not ascend: {events:?}");
    let last = events.last().map(|event| event.seq);
    ensure_eq!(last, Some(appended.position.seq()), "the position of an append is that of its last event");
    Ok(())
}

pub(crate) async fn a_version_conflict_names_both_versions_and_draws_no_number(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.append(batch(&[("a", 2)])).await?;
    let before = observe(&*store).await?.last;
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Exact(Version::new(1))] {
        // A stream that is fine comes first: its numbers must not be drawn either.
        let fine = StreamAppend::new(stream("b"), vec![event("b 1")]);
        let stale = StreamAppend::new(stream("a"), vec![event("a 3")]).expecting(expected);
        let refused = store.append(AppendBatch::new().stream(fine).stream(stale)).await;
        ensure_kind!(refused, ErrorKind::VersionConflict(_), "the stream is at version 2, not {expected}");
        let Err(error) = refused else { continue };
        let Some(conflict) = error.as_conflict() else {
            return Err(Stop::Broken(format!("a conflict without versions: {error:?}")));
        };
        ensure_eq!(conflict.stream, stream("a"), "the stream of the conflict");
        ensure_eq!(conflict.tenant, TenantId::default(), "the tenant of the conflict");
        ensure_eq!(conflict.expected, expected, "what was expected");
        ensure_eq!(conflict.actual, Version::new(2), "what the version is");
    }
    let after = observe(&*store).await?.last;
    ensure_eq!(after, before, "the last number drawn after conflicts: each would leave a hole in the log");
    Ok(())
}

pub(crate) async fn an_idempotent_batch_answers_as_the_first_time(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let twice = batch(&[("a", 2), ("b", 1)]).idempotent();
    let first = store.append(twice.clone()).await?;
    ensure!(!first.repeated, "the first append says that it was a repetition");
    store.append(batch(&[("a", 1), ("c", 1)])).await?;
    let before = observe(&*store).await?.last;

    let again = bench.other().await?.append(twice).await?;
    ensure!(again.repeated, "the second append does not say that it was a repetition");
    ensure_eq!(again.position, first.position, "the position of a repeated append");
    ensure_eq!(again.versions, first.versions, "the versions of a repeated append");
    ensure_eq!(again.recorded_at, first.recorded_at, "the time of a repeated append");
    ensure_eq!(observe(&*store).await?.last, before, "the last number drawn after a repeated append");
    ensure_eq!(log(&*store).await?.len(), 5, "events after a repeated append");
    Ok(())
}

pub(crate) async fn a_partly_known_batch_is_refused_with_the_known_ids(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let known: Vec<_> = ["a 1", "a 2"].map(event).into();
    store.append(of("a", known.clone())).await?;
    let mixed = vec![known[1].clone(), event("a 3"), known[0].clone()];
    let mixed = of("a", mixed).stream(StreamAppend::new(stream("b"), vec![event("b 1")])).idempotent();
    let refused = store.append(mixed).await;
    ensure_kind!(refused, ErrorKind::PartlyKnown { .. }, "two of four events are recorded");
    if let Err(error) = &refused
        && let ErrorKind::PartlyKnown { known: named } = error.kind()
    {
        let named: BTreeSet<EventId> = named.iter().copied().collect();
        let wanted: BTreeSet<EventId> = known.iter().map(ermine_core::NewEvent::id).collect();
        ensure_eq!(named, wanted, "the ids that are said to be recorded");
    }
    ensure_eq!(log(&*store).await?.len(), 2, "events after a refused append");
    Ok(())
}

pub(crate) async fn a_recorded_id_is_refused_in_a_plain_batch(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let taken = event("a 1");
    store.append(of("a", vec![taken.clone()])).await?;
    for target in ["a", "b"] {
        let fine = StreamAppend::new(stream("c"), vec![event("c 1")]);
        let refused = store.append(of(target, vec![event("new"), taken.clone()]).stream(fine)).await;
        ensure_kind!(refused, ErrorKind::DuplicateEvent { .. }, "an id that is recorded, in stream {target}");
        if let Err(error) = &refused
            && let ErrorKind::DuplicateEvent { id: Some(named) } = error.kind()
        {
            ensure_eq!(*named, taken.id(), "the id that is said to be recorded");
        }
    }
    ensure_eq!(log(&*store).await?.len(), 1, "events after refused appends");
    ensure_eq!(
        store.append(batch(&[("a", 1)])).await?.version(),
        Version::new(2),
        "the stream's next version"
    );
    Ok(())
}

pub(crate) async fn batches_in_opposite_order_both_succeed(bench: &Bench<'_>) -> Outcome {
    const ROUNDS: usize = 25;
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let names: Vec<String> = (0..8).map(|n| format!("s{n}")).collect();
    let forward: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let backward: Vec<(&str, usize)> = forward.iter().rev().copied().collect();
    for _ in 0..ROUNDS {
        let (one, two) = tokio::join!(store.append(batch(&forward)), other.append(batch(&backward)));
        one?;
        two?;
    }
    for name in &names {
        let events = texts(&*store, name).await?.len();
        ensure_eq!(events, 2 * ROUNDS, "events of stream {name} after appends in opposite order");
    }
    Ok(())
}

pub(crate) async fn bodies_over_a_megabyte_come_back(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let mut large = serde_json::Map::new();
    large.insert("text".into(), "ermine \u{1f9a6} \"quoted\"\\ \n".repeat(70_000).into());
    large.insert("number".into(), 9_007_199_254_740_991_i64.into());
    large.insert("list".into(), vec![1, 2, 3].into());
    let large = serde_json::Value::Object(large);
    let sent = body(large.clone());
    ensure!(sent.len() > 1_000_000, "the suite's large body is too small: {} bytes", sent.len());
    let new = ermine_core::NewEvent::new(event("").type_name().clone(), sent);
    store.append(of("a", vec![new])).await?;
    for found in [log(&*store).await?, read(&*store, "a").await?] {
        ensure_eq!(found.len(), 1, "events that came back");
        ensure!(json(&found[0].body)? == large, "a body of over a megabyte came back changed");
    }
    Ok(())
}

pub(crate) async fn numbers_in_bodies_come_back_to_the_last_bit(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let mut random = Random::new(325);
    let mut reals = Random::HARD_REALS.to_vec();
    reals.extend((0..2_000).map(|_| random.real()));
    let wholes = [i64::MIN, 9_007_199_254_740_993, i64::MAX];
    let sent = body(serde_json::json!({"reals": reals, "wholes": wholes}));
    let new = ermine_core::NewEvent::new(event("").type_name().clone(), sent);
    store.append(of("a", vec![new])).await?;
    for found in [log(&*store).await?, read(&*store, "a").await?] {
        ensure_eq!(found.len(), 1, "events that came back");
        let found = json(&found[0].body)?;
        ensure_eq!(found["wholes"], serde_json::json!(wholes), "whole numbers of a body");
        for (nth, real) in reals.iter().enumerate() {
            // By their bits, because two zeros are equal.
            let found = found["reals"][nth].as_f64().map(f64::to_bits);
            ensure_eq!(found, Some(real.to_bits()), "the bits of {real:?} in a body");
        }
    }
    Ok(())
}

pub(crate) async fn a_stream_keeps_the_type_of_its_first_append(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    // What each append of the one event says of its stream's type, in this order.
    let said = [
        ("trip", Some("trip")),
        ("plain", None),
        ("trip", None),
        ("trip", Some("car")),
        ("plain", Some("trip")),
        ("car", Some("car")),
    ];
    for (id, kind) in said {
        let mut append = StreamAppend::new(stream(id), vec![event(id)]);
        append.stream_type = kind.map(StreamType::new).transpose()?;
        store.append(AppendBatch::new().stream(append)).await?;
    }
    for (kind, wanted) in [("trip", vec!["trip"; 3]), ("car", vec!["car"]), ("bus", Vec::new())] {
        let seen = observe(&*store).await?;
        let filter = EventFilter::new(names(&[HAPPENED]), []).for_streams_of(Some(StreamType::new(kind)?));
        let page =
            store.load_page(request(seen.incarnation, Seq::ZERO, seen.highest_visible, filter)?).await?;
        let found: Vec<_> = page.events.iter().map(|event| event.stream.to_string()).collect();
        ensure_eq!(found, wanted, "the streams of the events in streams of type {kind}");
    }
    Ok(())
}

pub(crate) async fn an_archived_stream_refuses_events(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let admin = stream_admin(&*store)?;
    let early = batch(&[("a", 2)]).idempotent();
    let first = store.append(early.clone()).await?;
    let archived = admin.archive_stream(&TenantId::default(), &stream("a")).await?;
    let before = last(&*store).await?;
    for expected in [ExpectedVersion::Any, ExpectedVersion::Exact(archived.version())] {
        // A stream that is fine comes first: its numbers must not be drawn either.
        let fine = StreamAppend::new(stream("b"), vec![event("b 1")]);
        let ended = StreamAppend::new(stream("a"), vec![event("a 4")]).expecting(expected);
        let refused = store.append(AppendBatch::new().stream(fine).stream(ended)).await;
        ensure_kind!(refused, ErrorKind::Archived { .. }, "the second stream is archived");
        if let Err(error) = &refused
            && let ErrorKind::Archived { stream: named } = error.kind()
        {
            ensure_eq!(*named, stream("a"), "the stream of the refusal");
        }
    }
    ensure_eq!(last(&*store).await?, before, "the last number drawn after refusals");
    ensure_eq!(log(&*store).await?.len(), 2, "events after refusals");

    let again = store.append(early).await?;
    ensure!(again.repeated, "a repeated append to a stream that was archived since is not said to be one");
    ensure_eq!(again.position, first.position, "the position of that append");
    let namesake = StreamAppend::new(stream("a"), vec![event("a 1")]).for_tenant(tenant("acme"));
    let namesake = store.append(AppendBatch::new().stream(namesake)).await?;
    ensure_eq!(namesake.version(), Version::FIRST, "the version of another tenant's stream of the same name");
    Ok(())
}

fn of(id: &str, events: Vec<ermine_core::NewEvent>) -> AppendBatch {
    AppendBatch::new().stream(StreamAppend::new(stream(id), events))
}

fn batch_expecting(id: &str, expected: ExpectedVersion) -> AppendBatch {
    AppendBatch::new().stream(StreamAppend::new(stream(id), vec![event(id)]).expecting(expected))
}

async fn read(store: &dyn Store, id: &str) -> Result<Vec<ermine_core::Event>, Stop> {
    Ok(store.read_stream(&TenantId::default(), &stream(id), Version::ZERO, at_most(10)).await?)
}
