use ermine_core::{
    ErrorKind, Seq, TenantId, Version,
    ports::{ARCHIVED, Store},
};

use crate::{
    Outcome, Stop,
    bench::{Bench, at_most, batch, json, last, log, observe, page_of, stream, stream_admin, tenant, texts},
    outcome::{ensure, ensure_eq, ensure_kind},
};

pub(crate) async fn archiving_appends_one_last_event(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    store.append(batch(&[("a", 2), ("b", 1)])).await?;
    let archived = stream_admin(&*store)?.archive_stream(&TenantId::default(), &stream("a")).await?;
    ensure!(!archived.repeated, "archiving for the first time says that it was a repetition");
    ensure_eq!(archived.versions, [Version::new(3)], "the version of the last event");

    let events = events(&*store, "a").await?;
    ensure_eq!(events.len(), 3, "events of the archived stream");
    let end = &events[2];
    ensure_eq!(end.type_name.as_str(), ARCHIVED, "the type of the last event");
    ensure_eq!(json(&end.body)?, serde_json::json!({}), "the body of the last event");
    ensure_eq!(
        (end.seq, end.version),
        (archived.position.seq(), Version::new(3)),
        "the place of the last event"
    );
    ensure_eq!(end.recorded_at, archived.recorded_at, "the time of the last event");
    // It stands in the log like any other.
    ensure_eq!(observe(&*store).await?.highest_visible, end.seq, "the highest visible event");
    let (_, page) = page_of(&*store, &[ARCHIVED], &[]).await?;
    let found: Vec<Seq> = page.events.iter().map(|event| event.seq).collect();
    ensure_eq!(found, [end.seq], "events of that type in the log");

    let refused = store.append(batch(&[("a", 1)])).await;
    ensure_kind!(refused, ErrorKind::Archived { .. }, "an append to the archived stream");
    ensure_eq!(
        store.append(batch(&[("b", 1)])).await?.version(),
        Version::new(2),
        "the next version of another"
    );
    Ok(())
}

pub(crate) async fn archiving_again_changes_nothing(bench: &Bench<'_>) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let (admin, others) = (stream_admin(&*store)?, stream_admin(&*other)?);
    let default = TenantId::default();
    for round in 0..10 {
        let id = stream(&format!("s{round}"));
        store.append(batch(&[(&id, 1)])).await?;
        let (one, two) =
            tokio::join!(admin.archive_stream(&default, &id), others.archive_stream(&default, &id));
        let (one, two) = (one?, two?);
        ensure!(one.repeated != two.repeated, "one of two nodes archives the stream: {one:?}, {two:?}");
        store.append(batch(&[("other", 1)])).await?;
        let before = last(&*store).await?;
        let again = admin.archive_stream(&default, &id).await?;
        ensure!(again.repeated, "archiving again does not say that it was a repetition");
        for answer in [&two, &again] {
            ensure_eq!(answer.position, one.position, "the place of the last event");
            ensure_eq!(answer.versions, one.versions, "the version of the last event");
            ensure_eq!(answer.recorded_at, one.recorded_at, "the time of the last event");
        }
        ensure_eq!(last(&*store).await?, before, "the last number drawn after archiving again");
        ensure_eq!(events(&*store, &id).await?.len(), 2, "events of a stream that was archived three times");
    }
    Ok(())
}

pub(crate) async fn archiving_a_stream_without_events_is_refused(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let admin = stream_admin(&*store)?;
    store.append(batch(&[("a", 1)])).await?;
    let before = last(&*store).await?;
    for (tenant, id) in [(TenantId::default(), "missing"), (tenant("acme"), "a")] {
        let refused = admin.archive_stream(&tenant, &stream(id)).await;
        ensure_kind!(
            refused,
            ErrorKind::NotFound,
            "archiving {id:?} of tenant {tenant:?}, which has no events"
        );
    }
    ensure_eq!(last(&*store).await?, before, "the last number drawn after refusals");
    ensure_eq!(
        store.append(batch(&[("missing", 1)])).await?.version(),
        Version::FIRST,
        "the stream's first event"
    );
    ensure_eq!(
        store.append(batch(&[("a", 1)])).await?.version(),
        Version::new(2),
        "the namesake's next event"
    );
    Ok(())
}

pub(crate) async fn skipping_counts_what_it_marks_and_leaves_it_in_its_stream(bench: &Bench<'_>) -> Outcome {
    let store = bench.ready().await?;
    let admin = stream_admin(&*store)?;
    store.append(batch(&[("a", 4)])).await?;
    let all: Vec<Seq> = log(&*store).await?.iter().map(|event| event.seq).collect();
    ensure_eq!(admin.skip_events(&[], "nothing").await?, 0, "events marked where none was named");
    let unheard = Seq::new(last(&*store).await?.get() + 1000);
    let marked = admin.skip_events(&[all[0], unheard, all[2]], "first").await?;
    ensure_eq!(marked, 2, "events marked, of two that there are and one that there is not");
    let marked = admin.skip_events(&[all[2], all[3]], "second").await?;
    ensure_eq!(marked, 1, "events marked, of one that was marked before and one that was not");

    let (_, page) = page_of(&*store, &[crate::bench::HAPPENED], &[]).await?;
    let reasons: Vec<(Seq, &str)> = page.skipped.iter().map(|s| (s.seq, s.reason.as_str())).collect();
    ensure_eq!(reasons, [(all[0], "first"), (all[2], "first"), (all[3], "second")], "why events are skipped");
    ensure_eq!(texts(&*store, "a").await?, ["a 1", "a 2", "a 3", "a 4"], "the stream of the marked events");
    ensure_eq!(
        store.append(batch(&[("a", 1)])).await?.version(),
        Version::new(5),
        "the stream's next version"
    );
    Ok(())
}

async fn events(store: &dyn Store, id: &str) -> Result<Vec<ermine_core::Event>, Stop> {
    Ok(store.read_stream(&TenantId::default(), &stream(id), Version::ZERO, at_most(10)).await?)
}
