mod places;

use ermine_core::{
    AppendBatch, ErrorKind, Event, EventFilter, EventRange, Incarnation, NewEvent, PageRequest, Seq,
    StreamAppend, TenantId, UnknownEvent, Uuid, Version, ports::Store,
};

use crate::{
    Outcome, Stop,
    bench::{
        Bench, HAPPENED, at_most, batch, body, event, json, names, observe, observe_patiently, page_of,
        patiently, request, stream, tenant, type_name, typed,
    },
    outcome::{ensure, ensure_eq, ensure_kind},
};

pub(crate) use places::{
    a_filter_by_stream_type_leaves_out_other_streams, heads_are_read_in_the_order_of_the_request,
    locating_finds_the_first_event_at_or_after_a_place, skipped_events_are_left_out_and_named,
};

pub(crate) async fn a_page_holds_every_wanted_event_in_order(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.append(batch(&[("a", 3)])).await?;
    // Where it can be had: an event that becomes visible after one with a higher number, and a hole.
    let late = bench.try_hold(batch(&[("late", 1)])).await?;
    let dead = bench.try_hold(batch(&[("dead", 2)])).await?;
    let mut wanted = 3 + 4;
    store.append(batch(&[("b", 2), ("a", 2)])).await?;
    if let Some(dead) = dead {
        dead.rollback().await?;
    }
    if let Some(late) = late {
        late.commit().await?;
        wanted += 1;
    }
    let (request, whole) = page_of(&*store, &[HAPPENED], &[]).await?;
    ensure_eq!(whole.range, request.range, "the range of a page that is not full");
    let seqs = seqs(&whole.events);
    ensure!(seqs.windows(2).all(|two| two[0] < two[1]), "a page is not in sequence order: {seqs:?}");
    ensure_eq!(seqs.len(), wanted, "events in a page of the whole log");

    for (at, floor) in seqs.iter().enumerate() {
        for (to, ceiling) in seqs.iter().enumerate().skip(at + 1) {
            let range = EventRange::new(*floor, *ceiling).ok_or_else(|| Stop::Broken("order".into()))?;
            let part = store.load_page(PageRequest { range, ..request.clone() }).await?;
            ensure_eq!(self::seqs(&part.events), seqs[at + 1..=to], "events in the page of {range}");
        }
    }
    ensure_eq!(seqs, read_in_pages(&*store, &request, 2).await?, "the whole log against pages of 2");
    Ok(())
}

pub(crate) async fn a_full_page_ends_at_the_last_event_it_saw(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.append(batch(&[("a", 5)])).await?;
    let (request, whole) = page_of(&*store, &[HAPPENED], &[]).await?;
    let all = seqs(&whole.events);
    let full = store.load_page(PageRequest { events_max: at_most(3), ..request.clone() }).await?;
    ensure_eq!(seqs(&full.events), all[..3], "events of a page that is limited to 3");
    let seen = EventRange::new(Seq::ZERO, all[2]);
    ensure_eq!(
        Some(full.range),
        seen,
        "a full page covers no more than it saw: the rest would never be read"
    );

    // Nothing wanted at the end: the page still covers it.
    store.append(AppendBatch::new().stream(StreamAppend::new(stream("b"), vec![typed("other")]))).await?;
    let (request, rest) = page_of(&*store, &[HAPPENED], &["other"]).await?;
    ensure_eq!(rest.range, request.range, "the range of a page that is not full");
    Ok(())
}

pub(crate) async fn a_page_ends_with_the_event_that_reaches_its_bytes(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let events = (0..6).map(|_| event(&"x".repeat(98))).collect();
    store.append(AppendBatch::new().stream(StreamAppend::new(stream("a"), events))).await?;
    let (request, whole) = page_of(&*store, &[HAPPENED], &[]).await?;
    let all = seqs(&whole.events);
    for (bytes_max, count) in [(0, 1), (1, 1), (100, 1), (101, 2), (250, 3), (300, 3), (10_000, 6)] {
        let page = store.load_page(PageRequest { bytes_max, ..request.clone() }).await?;
        ensure_eq!(seqs(&page.events), all[..count], "events of 100 bytes in a page of {bytes_max} bytes");
        let seen = EventRange::new(Seq::ZERO, all[count - 1]);
        ensure_eq!(Some(page.range), seen, "the range of a page of {bytes_max} bytes");
    }
    Ok(())
}

pub(crate) async fn events_that_others_want_are_left_out(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let mixed = ["other", "mine", "other", "mine", "other"].map(typed).into();
    store.append(AppendBatch::new().stream(StreamAppend::new(stream("a"), mixed))).await?;
    let (request, page) = page_of(&*store, &["mine"], &["other"]).await?;
    let types: Vec<&str> = page.events.iter().map(|event| event.type_name.as_str()).collect();
    ensure_eq!(types, ["mine", "mine"], "types in a page that wants \"mine\" of \"mine\" and \"other\"");
    ensure_eq!(page.unknown.len(), 0, "unknown events where every type is known");
    ensure_eq!(page.range, request.range, "the range of a page that is not full");
    Ok(())
}

pub(crate) async fn unknown_events_come_without_bodies_and_count(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let mixed = ["mine", "strange", "other", "mine", "strange"].map(typed).into();
    store.append(AppendBatch::new().stream(StreamAppend::new(stream("a"), mixed))).await?;
    let all = store.read_stream(&TenantId::default(), &stream("a"), Version::ZERO, at_most(9)).await?;
    let unknown =
        |at: usize| UnknownEvent { seq: all[at].seq, stream: stream("a"), type_name: type_name("strange") };
    let (request, page) = page_of(&*store, &["mine"], &["other"]).await?;
    ensure_eq!(seqs(&page.events), [all[0].seq, all[3].seq], "wanted events");
    ensure_eq!(page.unknown, [unknown(1), unknown(4)], "events of a type that nobody knows");

    // The second place of the page is taken by the unknown event, and there it ends.
    let full = store.load_page(PageRequest { events_max: at_most(2), ..request.clone() }).await?;
    ensure_eq!(full.unknown, [unknown(1)], "unknown events of a page of 2");
    ensure_eq!(seqs(&full.events), [all[0].seq], "wanted events of a page of 2");
    ensure_eq!(Some(full.range), EventRange::new(Seq::ZERO, all[1].seq), "the range of a page of 2");

    // Wanting all that is known must not hide what is not.
    let (_, page) = page_of(&*store, &["mine", "other"], &[]).await?;
    ensure_eq!(page.unknown, [unknown(1), unknown(4)], "unknown events where all known types are wanted");
    Ok(())
}

pub(crate) async fn a_page_of_another_incarnation_is_rewound(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.append(batch(&[("a", 1)])).await?;
    let filter = EventFilter::new(names(&[HAPPENED]), []);
    let strange = Incarnation(Uuid::from_u128(1));
    let refused = store.load_page(request(strange, Seq::ZERO, Seq::new(1), filter.clone())?).await;
    ensure_kind!(refused, ErrorKind::Rewound, "a page of an incarnation that never was");

    let before = observe(&*store).await?.incarnation;
    if bench.crash().await {
        observe_patiently(&*store).await?;
        let request = request(before, Seq::ZERO, Seq::new(1), filter)?;
        let refused = patiently(|| store.load_page(request.clone())).await;
        ensure_kind!(refused, ErrorKind::Rewound, "a page of the incarnation before the crash");
    }
    Ok(())
}

pub(crate) async fn a_stream_is_read_after_a_version_up_to_the_limit(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let rich = NewEvent::new(type_name("conformance.rich"), body(serde_json::Map::new()))
        .with_correlation("conversation")?
        .with_causation("cause")?
        .with_headers(&["header"])?;
    let mut events: Vec<NewEvent> = (1..=4).map(|nth| event(&nth.to_string())).collect();
    events.push(rich);
    let mine = StreamAppend::new(stream("a"), events.clone()).for_tenant(tenant("acme"));
    let appended = store.append(AppendBatch::new().stream(mine)).await?;
    store.append(batch(&[("a", 2), ("ab", 1)])).await?;

    let acme = tenant("acme");
    for (after, limit, wanted) in [(0, 9, 0..5), (0, 2, 0..2), (3, 9, 3..5), (1, 2, 1..3), (5, 9, 5..5)] {
        let found = store.read_stream(&acme, &stream("a"), Version::new(after), at_most(limit)).await?;
        let ids: Vec<_> = found.iter().map(|event| event.id).collect();
        let wanted: Vec<_> = events[wanted].iter().map(NewEvent::id).collect();
        ensure_eq!(ids, wanted, "the stream after version {after}, at most {limit}");
    }
    let none = store.read_stream(&acme, &stream("ab"), Version::ZERO, at_most(9)).await?;
    ensure_eq!(none.len(), 0, "events of a stream that another tenant has");

    let all = store.read_stream(&acme, &stream("a"), Version::ZERO, at_most(9)).await?;
    for (nth, (found, sent)) in all.iter().zip(&events).enumerate() {
        ensure_eq!(found.version, Version::ZERO.plus(nth + 1), "the version of event {nth}");
        ensure_eq!((&found.tenant, &found.stream), (&acme, &stream("a")), "whose event {nth} is");
        ensure_eq!(found.type_name, *sent.type_name(), "the type of event {nth}");
        ensure_eq!(json(&found.body)?, json(sent.body())?, "the body of event {nth}");
        ensure_eq!(found.recorded_at, appended.recorded_at, "the time of event {nth}");
        let metadata = found.metadata.as_deref();
        ensure_eq!(metadata.is_some(), sent.metadata().is_some(), "whether event {nth} has metadata");
        if let (Some(found), Some(sent)) = (metadata, sent.metadata()) {
            ensure_eq!(found.correlation, sent.correlation, "the correlation of event {nth}");
            ensure_eq!(found.causation, sent.causation, "the causation of event {nth}");
            let headers = (&found.headers, &sent.headers);
            let (Some(found), Some(sent)) = headers else {
                return Err(Stop::Broken(format!("headers were lost or made up: {headers:?}")));
            };
            ensure_eq!(json(found)?, json(sent)?, "the headers of event {nth}");
        }
    }
    Ok(())
}

fn seqs(events: &[Event]) -> Vec<Seq> {
    events.iter().map(|event| event.seq).collect()
}

/// What pages of `events_max` add up to, each starting where the one before says it has ended.
async fn read_in_pages(
    store: &dyn Store,
    request: &PageRequest,
    events_max: usize,
) -> Result<Vec<Seq>, Stop> {
    let mut found = Vec::new();
    let mut next = Some(request.range);
    while let Some(range) = next {
        let page = store
            .load_page(PageRequest { range, events_max: at_most(events_max), ..request.clone() })
            .await?;
        ensure!(
            page.range.floor() == range.floor() && page.range.ceiling() <= range.ceiling(),
            "the page of {range} says that it covers {}",
            page.range
        );
        found.extend(seqs(&page.events));
        next = EventRange::new(page.range.ceiling(), request.range.ceiling());
    }
    Ok(found)
}
