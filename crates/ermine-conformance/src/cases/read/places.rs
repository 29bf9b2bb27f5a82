//! Reading by the type of stream, over marked events, and where streams and the log stand.

use ermine_core::{
    AppendBatch, EventFilter, LogEntry, LogPoint, PageRequest, Seq, SkippedEvent, StreamAppend, StreamId,
    StreamType, TenantId, Timestamp, Version, ports::Store,
};

use super::seqs;
use crate::{
    Outcome,
    bench::{
        Bench, HAPPENED, at_most, batch, event, last, log, names, observe, page_of, request, stream,
        stream_admin, tenant, typed,
    },
    outcome::{ensure, ensure_eq},
};

pub(crate) async fn a_filter_by_stream_type_leaves_out_other_streams(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let acme = tenant("acme");
    let streams = [
        (TenantId::default(), "a", Some("trip")),
        (TenantId::default(), "b", Some("car")),
        (TenantId::default(), "c", None),
        (acme.clone(), "a", Some("car")),
        (acme, "d", Some("trip")),
    ];
    for _ in 0..2 {
        for (tenant, id, kind) in &streams {
            let events = vec![event(id), typed("strange"), typed("other")];
            let mut append = StreamAppend::new(stream(id), events).for_tenant(tenant.clone());
            append.stream_type = kind.map(StreamType::new).transpose()?;
            store.append(AppendBatch::new().stream(append)).await?;
        }
    }
    let seen = observe(&*store).await?;
    for kind in ["trip", "car", "bus"] {
        let filter = EventFilter::new(names(&[HAPPENED]), names(&["other"]));
        let filter = filter.for_streams_of(Some(StreamType::new(kind)?));
        let request = request(seen.incarnation, Seq::ZERO, seen.highest_visible, filter)?;
        let page = store.load_page(request.clone()).await?;
        let found: Vec<(TenantId, StreamId)> =
            page.events.iter().map(|event| (event.tenant.clone(), event.stream.clone())).collect();
        let of_kind = streams.iter().filter(|(_, _, of)| *of == Some(kind));
        let mut wanted: Vec<_> = of_kind.map(|(tenant, id, _)| (tenant.clone(), stream(id))).collect();
        wanted.extend_from_within(..);
        ensure_eq!(found, wanted, "streams of the events in streams of type {kind}");
        ensure_eq!(page.unknown.len(), 10, "events of unknown types, whatever the type of their streams");
        ensure_eq!(page.range, request.range, "the range of a page that is not full");

        let small = store.load_page(PageRequest { events_max: at_most(2), ..request }).await?;
        ensure_eq!(small.events.len() + small.unknown.len(), 2, "events in a page of 2");
    }
    Ok(())
}

pub(crate) async fn skipped_events_are_left_out_and_named(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let admin = stream_admin(&*store)?;
    store.append(batch(&[("a", 3), ("b", 2)])).await?;
    let other = StreamAppend::new(stream("a"), vec![typed("other")]);
    let other = store.append(AppendBatch::new().stream(other)).await?.position.seq();
    let all = seqs(&log(&*store).await?);
    let skipped = |at: usize, id: &str, reason: &str| SkippedEvent {
        seq: all[at],
        stream: stream(id),
        reason: reason.into(),
    };
    admin.skip_events(&[all[3], all[1], other], "it's broken").await?;
    admin.skip_events(&[all[4]], "\u{1f9a6}").await?;
    let named =
        [skipped(1, "a", "it's broken"), skipped(3, "b", "it's broken"), skipped(4, "b", "\u{1f9a6}")];
    let (request, page) = page_of(&*store, &[HAPPENED], &["other"]).await?;
    ensure_eq!(seqs(&page.events), [all[0], all[2]], "events that are not marked");
    ensure_eq!(page.skipped, named, "events that are marked, of the type that is wanted");
    ensure_eq!(page.range, request.range, "the range of a page that is not full");

    // They count: a page of two ends at the second of the log, which is marked.
    let small = store.load_page(PageRequest { events_max: at_most(2), ..request.clone() }).await?;
    ensure_eq!(seqs(&small.events), all[..1], "events in a page of 2, of which one is marked");
    ensure_eq!(small.skipped, named[..1], "marked events in that page");
    ensure_eq!(small.range.ceiling(), all[1], "the end of that page");
    let (_, theirs) = page_of(&*store, &["other"], &[HAPPENED]).await?;
    ensure_eq!(theirs.events.len(), 0, "events of the other type, all of them marked");
    let found: Vec<Seq> = theirs.skipped.iter().map(|skipped| skipped.seq).collect();
    ensure_eq!(found, [other], "marked events of the other type");

    // Marking is how to get past an event that nobody knows.
    let (_, unknown) = page_of(&*store, &[HAPPENED], &[]).await?;
    ensure_eq!(unknown.unknown.len(), 0, "marked events of an unknown type, as unknown ones");
    ensure_eq!(unknown.skipped.last().map(|it| it.seq), Some(other), "a marked event of an unknown type");
    Ok(())
}

pub(crate) async fn heads_are_read_in_the_order_of_the_request(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let acme = StreamAppend::new(stream("a"), vec![event("a 1")]).for_tenant(tenant("acme"));
    let appended = store.append(batch(&[("b", 2), ("a", 3), ("c", 1)]).stream(acme)).await?;
    let of = |id: &str| (TenantId::default(), stream(id));
    let asked = [of("c"), (tenant("acme"), stream("a")), of("missing"), of("b"), of("a"), of("c")];
    let heads = store.read_heads(&asked).await?;
    ensure_eq!(heads.versions, [1, 1, 0, 2, 3, 1].map(Version::new), "the versions of {asked:?}");
    ensure!(
        heads.at >= appended.recorded_at,
        "the store's clock says {}, and an append was recorded at {}",
        heads.at,
        appended.recorded_at
    );
    ensure_eq!(store.read_heads(&[]).await?.versions.len(), 0, "versions of no streams");
    Ok(())
}

pub(crate) async fn locating_finds_the_first_event_at_or_after_a_place(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    for point in [LogPoint::After(Seq::ZERO), LogPoint::Since(Timestamp::UNIX_EPOCH)] {
        ensure_eq!(store.locate(point).await?, None, "{point:?} in an empty log");
    }
    let dead = bench.try_hold(batch(&[("dead", 2)])).await?;
    for nth in 0..6 {
        store.append(batch(&[("a", 1 + nth % 2)])).await?;
    }
    if let Some(dead) = dead {
        ensure_located(&*store).await?;
        dead.rollback().await?;
    }
    ensure_located(&*store).await
}

async fn ensure_located(store: &dyn Store) -> Outcome {
    let events: Vec<LogEntry> = log(store)
        .await?
        .iter()
        .map(|event| LogEntry { seq: event.seq, recorded_at: event.recorded_at })
        .collect();
    let end = last(store).await?.get() + 1;
    for number in 0..=end {
        let number = Seq::new(number);
        let found = store.locate(LogPoint::After(number)).await?;
        let wanted = events.iter().find(|entry| entry.seq > number).copied();
        ensure_eq!(found, wanted, "the first event above number {number}");
    }
    let tick = std::time::Duration::from_micros(1);
    let mut moments = vec![Timestamp::UNIX_EPOCH];
    for entry in &events {
        moments.extend([entry.recorded_at - tick, entry.recorded_at, entry.recorded_at + tick]);
    }
    moments.push(moments[moments.len() - 1] + std::time::Duration::from_secs(3600));
    for moment in moments {
        let found = store.locate(LogPoint::Since(moment)).await?;
        let wanted = events.iter().find(|entry| entry.recorded_at >= moment).copied();
        ensure_eq!(found, wanted, "the first event that was recorded at {moment} or later");
    }
    Ok(())
}
