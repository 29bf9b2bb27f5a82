//! Inline, async and live: the same views at different times.

use ermine::{
    ErrorKind,
    core::{Archived, StreamType, tenant_roll_up},
};

use super::*;

fn by_stream(event: &Recorded<TripEvent>) -> [String; 2] {
    [event.stream().to_string(), "all".into()]
}

fn legs(event: &Recorded<TripEvent>) -> Option<Vec<TripEvent>> {
    match event.data() {
        TripEvent::Legs { km } => Some(km.iter().map(|km| travelled(*km)).collect()),
        _ => None,
    }
}

async fn inline_aggregates_are_those_of_the_daemon(fresh: Fresh) -> Result<()> {
    let kinds = |lifecycle: Lifecycle| -> [Registered; 5] {
        let name = |kind: &str| format!("{kind}{lifecycle:?}");
        [
            single_stream::<Diary>(name("Single")).lifecycle(lifecycle).into(),
            multi_stream::<Diary, _, _>(name("Multi"), by_stream).lifecycle(lifecycle).into(),
            multi_stream::<Diary, _, _>(name("Fan"), by_stream).fan_out(legs).lifecycle(lifecycle).into(),
            multi_stream::<Diary, _, _>(name("In"), by_stream)
                .fan_out_in_view(legs)
                .lifecycle(lifecycle)
                .into(),
            tenant_roll_up::<Diary>(name("Roll")).lifecycle(lifecycle).into(),
        ]
    };
    let mut spec = spec(&fresh, kinds(Lifecycle::Inline).into_iter().chain(kinds(Lifecycle::Async))).await?;
    spec.given("a", [started("ada"), TripEvent::Legs { km: vec![1, 2] }]).await?;
    spec.when_batch(batch([
        of("b", [started("bob"), travelled(1)]),
        of("a", [travelled(2)]),
        of("a", [travelled(3)]).for_tenant(tenant("acme")),
        of("c", [TripEvent::Cancelled, started("cyn")]),
    ]))
    .await?;
    spec.when("b", [TripEvent::Cancelled]).await?;
    spec.when("b", [travelled(4), TripEvent::Legs { km: vec![] }]).await?;
    for kind in ["Single", "Multi", "Fan", "In", "Roll"] {
        for tenant in [TenantId::default(), tenant("acme")] {
            let views = async |lifecycle: &str| {
                let query = spec.ermine().query_of::<Diary>(&format!("{kind}{lifecycle}"))?;
                query.tenant(tenant.clone()).all().await
            };
            assert_eq!(views("Inline").await?, views("Async").await?, "{kind} of {tenant:?}");
        }
    }
    spec.then("MultiAsync", "all", Some(diary(&["b: 4", "b: legs []"]))).await
}

async fn an_inline_projection_looks_up_another(fresh: Fresh) -> Result<()> {
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Named(Option<String>);

    impl Aggregate for Named {
        type Event = TripEvent;

        fn evolve(_: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
            Ok(Some(Self(event.looked_up::<Trip>(event.stream()).map(|trip| trip.driver.clone()))))
        }
    }

    let named = single_stream::<Named>("Named")
        .only(["trip.ended"])
        .inline()
        .look_up(look_up::<Trip, _, _>("Trip", |event: &Recorded<TripEvent>| event.stream().to_string()));
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").inline().into(), named.into()]).await?;
    spec.given("a", [started("ada")]).await?;
    spec.when("a", [TripEvent::Ended]).await?;
    spec.when("b", [TripEvent::Ended]).await?;
    spec.then_all("Named", [("a", Named(Some("ada".into()))), ("b", Named(None))]).await
}

/// An aggregate that takes no negative distances.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Strict(i64);

impl Aggregate for Strict {
    type Event = TripEvent;

    fn evolve(strict: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        match event.data() {
            TripEvent::Travelled { km } if *km < 0 => Err(ApplyError::msg("nobody drives backwards")),
            TripEvent::Travelled { km } => Ok(Some(Self(strict.unwrap_or_default().0 + km))),
            _ => Ok(strict),
        }
    }
}

async fn what_an_inline_projection_refuses_is_not_appended(fresh: Fresh) -> Result<()> {
    let strict = single_stream::<Strict>("Strict").inline();
    let mut spec = spec(&fresh, [strict.into(), single_stream::<Trip>("Trip").into()]).await?;
    spec.given("a", [travelled(1)]).await?;
    let refused =
        spec.when_batch(batch([of("b", [started("bob")]), of("a", [travelled(-1)])])).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Apply { .. }), "{}", refused.chain());
    spec.when("a", [travelled(5)]).await?;
    spec.then_all("Strict", [("a", Strict(6))]).await?;
    spec.then_all("Trip", [("a", trip("", 6))]).await
}

async fn a_stream_is_folded_as_it_was_then(fresh: Fresh) -> Result<()> {
    let live = single_stream::<Trip>("Trip").live();
    let mut spec = spec(&fresh, [live.into()]).await?;
    spec.given("a", [started("ada"), travelled(1)]).await?;
    let middle = spec.when_batch(batch([of("a", [travelled(2)])])).await?;
    spec.given("a", [TripEvent::Cancelled, travelled(4)]).await?;
    let at = async |until| spec.ermine().aggregate_stream::<Trip>("a", until).await;
    for (version, expected) in [
        (0, None),
        (1, Some(trip("ada", 0))),
        (3, Some(trip("ada", 3))),
        (4, None),
        (5, Some(trip("", 4))),
        (9, Some(trip("", 4))),
    ] {
        assert_eq!(at(Until::Version(Version::new(version))).await?, expected, "version {version}");
    }
    let events = spec.ermine().read_stream(&"a".parse()?, Version::ZERO, at_most(9)).await?;
    let last = events.iter().filter(|event| event.recorded_at <= middle.recorded_at).last().unwrap();
    let then = at(Until::Time(middle.recorded_at)).await?;
    assert_eq!(then, at(Until::Version(last.version)).await?, "what was recorded at that moment counts");
    assert_eq!(at(Until::Time("1970-01-01T00:00:00Z".parse().unwrap())).await?, None);
    assert_eq!(at(Until::Now).await?, Some(trip("", 4)));
    assert!(spec.ermine().load::<Trip>("a").await.is_err(), "nothing is stored of a live projection");
    Ok(())
}

async fn the_latest_state_is_there_before_the_daemon_has_come_so_far(fresh: Fresh) -> Result<()> {
    let mut spec = spec(&fresh, [single_stream::<Trip>("Trip").into()]).await?;
    spec.given("a", [started("ada"), travelled(1)]).await?;
    spec.ermine().append("a", [travelled(2)]).await?;
    spec.then("Trip", "a", Some(trip("ada", 1))).await?;
    assert_eq!(spec.ermine().fetch_latest::<Trip>("a").await?, Some(trip("ada", 3)));
    assert_eq!(spec.ermine().fetch_latest::<Diary>("a").await?.unwrap().0.len(), 3, "nobody keeps a diary");
    assert_eq!(spec.ermine().fetch_latest::<Trip>("nobody").await?, None);
    let writing = spec.ermine().fetch_for_writing::<Trip>("a").await?;
    assert_eq!(writing.append([TripEvent::Cancelled]).await?.version(), Version::new(4));
    assert_eq!(spec.ermine().fetch_latest::<Trip>("a").await?, None);
    spec.when("a", [travelled(7)]).await?;
    assert_eq!(spec.ermine().fetch_latest::<Trip>("a").await?, Some(trip("", 7)));
    Ok(())
}

async fn a_projection_becomes_async_where_inline_has_left_it(fresh: Fresh) -> Result<()> {
    let mut before = spec(&fresh, [single_stream::<Trip>("Trip").inline().into()]).await?;
    before.given("a", [started("ada"), travelled(1)]).await?;
    let after = spec(&fresh, [single_stream::<Trip>("Trip").starts_as_inline().into()]).await?;
    after.ermine().catch_up().await?;
    let mut after = ProjectionSpec::of(ermine_of(&fresh).await?);
    after.when("a", [travelled(2)]).await?;
    after.then_all("Trip", [("a", trip("ada", 3))]).await
}

async fn ermine_of(fresh: &Fresh) -> Result<Ermine> {
    Ermine::with_store(fresh.store()).project(single_stream::<Trip>("Trip").starts_as_inline()).start().await
}

async fn what_needs_the_log_cannot_be_inline(fresh: Fresh) -> Result<()> {
    let refused = Ermine::with_store(fresh.store())
        .project(single_stream::<Trip>("Van").for_streams_of("van").inline())
        .project(single_stream::<Trip>("Drop").archived(Archived::Drop).inline())
        .start()
        .await
        .unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    for fault in ["projection \"Van\": the type of a stream", "projection \"Drop\": Archived::Drop"] {
        assert!(refused.chain().contains(fault), "{}", refused.chain());
    }
    let mut spec = spec(&fresh, [single_stream::<Trip>("Van").for_streams_of("van").into()]).await?;
    let van = StreamType::new("van")?;
    spec.when_batch(batch([of("a", [travelled(1)]), of("b", [travelled(2)]).of_type(van)])).await?;
    spec.then_all("Van", [("b", trip("", 2))]).await
}

async fn writers_of_one_inline_view_lose_no_update(fresh: Fresh) -> Result<()> {
    let all = multi_stream::<Diary, _, _>("All", |_| "all").inline();
    let spec = spec(&fresh, [all.into()]).await?;
    let writer = async |writer: i64| -> Result<()> {
        for n in 0..6 {
            spec.ermine().append(format!("w{writer}"), [travelled(n)]).await?;
        }
        Ok(())
    };
    let (a, b, c, d) = tokio::join!(writer(0), writer(1), writer(2), writer(3));
    a.and(b).and(c).and(d)?;
    let mut lines = spec.ermine().query_of::<Diary>("All")?.load("all").await?.unwrap_or_default().0;
    for writer in 0..4 {
        let of_writer = lines.extract_if(.., |line| line.starts_with(&format!("w{writer}:")));
        let of_writer: Vec<String> = of_writer.collect();
        let expected: Vec<String> = (0..6).map(|n| format!("w{writer}: {n}")).collect();
        assert_eq!(of_writer, expected);
    }
    assert_eq!(lines, [""; 0]);
    Ok(())
}

on_every_store!(
    writers_of_one_inline_view_lose_no_update,
    inline_aggregates_are_those_of_the_daemon,
    an_inline_projection_looks_up_another,
    what_an_inline_projection_refuses_is_not_appended,
    a_stream_is_folded_as_it_was_then,
    the_latest_state_is_there_before_the_daemon_has_come_so_far,
    a_projection_becomes_async_where_inline_has_left_it,
    what_needs_the_log_cannot_be_inline,
);
