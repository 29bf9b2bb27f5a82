//! Every kind of projection through the facade, over a store in memory.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use ermine::{
    core::{Deleted, Message, PageEffects, PageError, Registered, TenantId, Updated},
    prelude::*,
};
use ermine_memory::MemoryStore;

use crate::trips::{Trip, TripEvent, started, travelled, trip};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Total {
    legs: i64,
    km: i64,
}

impl Aggregate for Total {
    type Event = TripEvent;

    fn evolve(total: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut total = total.unwrap_or_default();
        if let TripEvent::Travelled { km } = event.data() {
            total.legs += 1;
            total.km += km;
        }
        Ok(Some(total))
    }
}

async fn host(projections: impl IntoIterator<Item = Registered>) -> Ermine {
    let builder = Ermine::with_store(Arc::new(MemoryStore::new()));
    projections.into_iter().fold(builder, ermine::ErmineBuilder::project).start().await.unwrap()
}

#[tokio::test]
async fn an_inline_view_is_there_when_the_append_is_answered() {
    let ermine = host([single_stream::<Trip>("Trip").inline().into()]).await;
    ermine.append("trip-1", [started("ada"), travelled(3)]).await.unwrap();
    ermine.append("trip-1", [travelled(4)]).await.unwrap();
    let found = ermine.load::<Trip>("trip-1").await.unwrap().unwrap();
    assert_eq!(found, trip("ada", 7));
    ermine.append("trip-1", [TripEvent::Cancelled]).await.unwrap();
    assert_eq!(ermine.load::<Trip>("trip-1").await.unwrap(), None);
}

#[tokio::test]
async fn writers_of_one_inline_view_lose_no_update() {
    let total = multi_stream::<Total, _, _>("Total", |_| "all").inline();
    let ermine = Arc::new(host([total.into()]).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..16 {
        let ermine = ermine.clone();
        writers.spawn(async move {
            for _ in 0..10 {
                ermine.append(format!("trip-{writer}"), [travelled(1)]).await.unwrap();
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    assert_eq!(ermine.load::<Total>("all").await.unwrap(), Some(Total { legs: 160, km: 160 }));
}

#[tokio::test]
async fn an_event_fans_out_before_or_after_it_is_grouped() {
    let legs = |event: &Recorded<TripEvent>| match event.data() {
        TripEvent::Legs { km } => Some(km.iter().map(|km| TripEvent::Travelled { km: *km }).collect()),
        _ => None,
    };
    let by_length = |event: &Recorded<TripEvent>| match event.data() {
        TripEvent::Travelled { km } if *km >= 10 => Some("long"),
        TripEvent::Travelled { .. } => Some("short"),
        _ => None,
    };
    let before = multi_stream::<Total, _, _>("Before", by_length).fan_out(legs);
    let after =
        multi_stream::<Total, _, _>("After", |event: &Recorded<TripEvent>| event.stream().to_string())
            .fan_out_in_view(legs);
    let ermine = host([before.into(), after.into()]).await;
    ermine.append("trip-1", [TripEvent::Legs { km: vec![3, 20, 4] }]).await.unwrap();
    ermine.catch_up().await.unwrap();
    let load = |name: &'static str, id: &'static str| ermine.query_of::<Total>(name).unwrap().load(id);
    assert_eq!(load("Before", "long").await.unwrap(), Some(Total { legs: 1, km: 20 }));
    assert_eq!(load("Before", "short").await.unwrap(), Some(Total { legs: 2, km: 7 }));
    assert_eq!(load("After", "trip-1").await.unwrap(), Some(Total { legs: 3, km: 27 }));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Running {
    driver: String,
    legs: i64,
}

#[tokio::test]
async fn an_event_projection_stores_patches_and_deletes() {
    let running =
        event_projection("Running", |event: &Recorded<TripEvent>, views: &mut ViewChanges<Running>| {
            let trip = event.stream().as_str();
            match event.data() {
                TripEvent::Started { driver } => {
                    views.store(trip, &Running { driver: driver.clone(), legs: 0 })?;
                }
                TripEvent::Travelled { .. } => views.patch(trip, Patch::new().increment("legs", 1)?)?,
                TripEvent::Legs { .. } => views.delete_where(field("legs")?.ge(2)),
                TripEvent::Shared { .. } => {}
                TripEvent::Ended | TripEvent::Cancelled => views.delete(trip)?,
            }
            Ok(())
        });
    let ermine = host([running.into()]).await;
    ermine.append("a", [started("ada"), travelled(1), travelled(1)]).await.unwrap();
    ermine.append("b", [started("bob"), travelled(1)]).await.unwrap();
    ermine.catch_up().await.unwrap();
    assert_eq!(ermine.load::<Running>("a").await.unwrap(), Some(Running { driver: "ada".into(), legs: 2 }));
    ermine.append("b", [TripEvent::Legs { km: vec![] }, travelled(1)]).await.unwrap();
    ermine.append("a", [travelled(1)]).await.unwrap();
    ermine.catch_up().await.unwrap();
    assert_eq!(ermine.load::<Running>("a").await.unwrap(), None, "a patch makes no view");
    assert_eq!(ermine.load::<Running>("b").await.unwrap(), Some(Running { driver: "bob".into(), legs: 2 }));
    ermine.append("b", [TripEvent::Ended]).await.unwrap();
    ermine.catch_up().await.unwrap();
    assert_eq!(ermine.query::<Running>().unwrap().count().await.unwrap(), 0);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TripRow {
    driver: String,
    km: f64,
    legs: i64,
    ended_at: Option<String>,
}

#[tokio::test]
async fn a_flat_table_has_a_row_per_stream() {
    let rows = flat_table::<TripEvent>("TripRows", "trips")
        .column("driver", ColumnKind::Text)
        .column_or("km", ColumnKind::Real, 0.0)
        .column_or("legs", ColumnKind::Integer, 0)
        .nullable("ended_at", ColumnKind::Timestamp)
        .on("trip.started", |row| row.map("driver"))
        .on("trip.travelled", |row| row.increment_from("km", "km").increment("legs", 1))
        .on("trip.ended", |row| row.recorded_at("ended_at"))
        .on("trip.cancelled", ermine::core::RowRule::delete);
    let ermine = host([rows.into()]).await;
    ermine.append("a", [started("ada"), travelled(2), travelled(5)]).await.unwrap();
    ermine.append("b", [travelled(5)]).await.unwrap();
    ermine.append("c", [started("cyn"), TripEvent::Ended]).await.unwrap();
    ermine.append("d", [started("dan"), TripEvent::Cancelled]).await.unwrap();
    ermine.catch_up().await.unwrap();
    let rows = ermine.query_of::<TripRow>("TripRows").unwrap().list().await.unwrap();
    let ids: Vec<&str> = rows.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["a", "c"], "b has no driver, d is cancelled");
    assert_eq!(rows[0].1, TripRow { driver: "ada".into(), km: 7.0, legs: 2, ended_at: None });
    assert!(rows[1].1.ended_at.as_ref().unwrap().ends_with('Z'));
}

/// The drivers that trips belong to, as a later stage sees it.
#[derive(DomainEvent)]
enum DriverEvent {
    #[event(name = "updated:Trip")]
    Changed(Updated<Trip>),
    #[event(name = "deleted:Trip")]
    Gone(Deleted<Trip>),
    #[event(name = "trip.ended")]
    Ended,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Changes {
    km: Vec<i64>,
    ended: u32,
    gone: bool,
}

impl Aggregate for Changes {
    type Event = DriverEvent;

    fn evolve(changes: Option<Self>, event: &Recorded<DriverEvent>) -> Result<Option<Self>, ApplyError> {
        let mut changes = changes.unwrap_or_default();
        match event.data() {
            DriverEvent::Changed(trip) => changes.km.push(trip.view.km),
            DriverEvent::Gone(_) => changes.gone = true,
            DriverEvent::Ended => changes.ended += 1,
        }
        Ok(Some(changes))
    }
}

fn member(projection: impl Projection + 'static) -> Arc<dyn Projection> {
    Arc::new(projection)
}

#[tokio::test]
async fn a_later_stage_sees_what_an_earlier_one_has_changed() {
    let changes =
        multi_stream::<Changes, _, _>("Changes", |event: &Recorded<DriverEvent>| event.stream().to_string());
    let both = composite("Both").stage([member(single_stream::<Trip>("Trip"))]).stage([member(changes)]);
    let ermine = host([both.into()]).await;
    ermine.append("a", [started("ada"), travelled(2), TripEvent::Ended]).await.unwrap();
    ermine.catch_up().await.unwrap();
    ermine.append("a", [travelled(3)]).await.unwrap();
    ermine.append("b", [started("bob")]).await.unwrap();
    ermine.catch_up().await.unwrap();
    ermine.append("a", [TripEvent::Cancelled]).await.unwrap();
    ermine.catch_up().await.unwrap();
    let of_a = ermine.load::<Changes>("a").await.unwrap().unwrap();
    assert_eq!(of_a, Changes { km: vec![2, 5], ended: 1, gone: true });
    assert_eq!(ermine.load::<Changes>("b").await.unwrap().unwrap().km, [0]);
    let progress: Vec<String> =
        ermine.progress().await.unwrap().iter().map(|p| format!("{} {}", p.shard, p.seq)).collect();
    assert_eq!(progress, ["Both:All 6", "Changes:All 6", "Trip:All 6"]);
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Named {
    by: Option<String>,
}

impl Aggregate for Named {
    type Event = TripEvent;

    fn evolve(named: Option<Self>, event: &Recorded<TripEvent>) -> Result<Option<Self>, ApplyError> {
        let mut named = named.unwrap_or_default();
        if let Some(trip) = event.looked_up::<Trip>(event.stream()) {
            named.by = Some(trip.driver.clone());
        }
        Ok(Some(named))
    }
}

#[tokio::test]
async fn a_look_up_finds_the_views_of_another_projection() {
    let named = single_stream::<Named>("Named")
        .only(["trip.ended"])
        .look_up(look_up::<Trip, _, _>("Trip", |event: &Recorded<TripEvent>| {
            event.stream().clone().to_string()
        }));
    let ermine = host([named.into(), single_stream::<Trip>("Trip").into()]).await;
    ermine.append("a", [started("ada"), TripEvent::Ended]).await.unwrap();
    ermine.append("b", [TripEvent::Ended]).await.unwrap();
    ermine.catch_up().await.unwrap();
    assert_eq!(ermine.load::<Named>("a").await.unwrap(), Some(Named { by: Some("ada".into()) }));
    assert_eq!(ermine.load::<Named>("b").await.unwrap(), Some(Named { by: Some(String::new()) }));
}

#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Sink for Sent {
    async fn deliver(&self, messages: &[Message]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.lock().unwrap().extend(messages.iter().map(|m| format!("{} {:?}", m.topic, m.body)));
        Ok(())
    }
}

#[tokio::test]
async fn effects_of_an_aggregate_are_committed_with_it_and_never_repeated() {
    let trips = |version| {
        single_stream::<Trip>("Trip").version(version).raise(|event, trip: Option<&Trip>, effects| {
            if matches!(event.data(), TripEvent::Ended) {
                effects.publish("ended", &trip.map(|t| t.km))?;
                effects.append("audit", [travelled(1)])?;
            }
            Ok(())
        })
    };
    let (store, sent) = (Arc::new(MemoryStore::new()), Sent::default());
    let start =
        |version| Ermine::with_store(store.clone()).project(trips(version)).sink(sent.clone()).start();
    let ermine = start(1).await.unwrap();
    ermine.append("a", [started("ada"), travelled(2), TripEvent::Ended]).await.unwrap();
    ermine.catch_up().await.unwrap();
    assert_eq!(*sent.0.lock().unwrap(), ["ended 2"]);
    assert_eq!(ermine.load::<Trip>("audit").await.unwrap().unwrap().km, 1);
    let second = start(2).await.unwrap();
    second.catch_up().await.unwrap();
    assert_eq!(second.statistics().await.unwrap().events, 4, "the audit was not written again");
    second.append("a", [TripEvent::Ended]).await.unwrap();
    second.catch_up().await.unwrap();
    assert_eq!(*sent.0.lock().unwrap(), ["ended 2", "ended 2"]);
}

struct Notices(Arc<Mutex<Vec<i64>>>);

#[async_trait]
impl Subscriber for Notices {
    type Event = TripEvent;

    async fn receive(
        &self,
        page: &[Recorded<TripEvent>],
        effects: &mut PageEffects,
    ) -> Result<(), PageError> {
        for event in page {
            if let TripEvent::Travelled { km } = event.data() {
                self.0.lock().unwrap().push(*km);
                effects.of(event).publish("travelled", km)?;
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_subscription_is_given_events_in_order_and_can_be_rewound_while_it_runs() {
    let (seen, sent) = (Arc::new(Mutex::new(Vec::new())), Sent::default());
    let notices = subscription("Notices", Notices(seen.clone())).only(["trip.travelled"]);
    let ermine = Ermine::with_store(Arc::new(MemoryStore::new()))
        .project(notices)
        .sink(sent.clone())
        .daemon(DaemonMode::Solo)
        .start()
        .await
        .unwrap();
    for km in 1..=3 {
        ermine.append("a", [TripEvent::Travelled { km }, TripEvent::Ended]).await.unwrap();
    }
    ermine.wait_for_non_stale(Duration::from_secs(10)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3]);
    ermine.rewind("Notices", Start::After(ermine::core::Seq::new(2))).await.unwrap();
    ermine.wait_for_non_stale(Duration::from_secs(10)).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3, 2, 3]);
    ermine_testkit::eventually(Duration::from_secs(10), async || {
        let sent = sent.0.lock().unwrap().clone();
        (sent == ["travelled 1", "travelled 2", "travelled 3"]).then_some(()).ok_or(format!("{sent:?}"))
    })
    .await;
    ermine.stop().await.unwrap();
}

#[tokio::test]
async fn the_state_of_a_stream_is_the_same_in_every_lifecycle() {
    for lifecycle in [Lifecycle::Inline, Lifecycle::Async, Lifecycle::Live] {
        let ermine = host([single_stream::<Trip>("Trip").lifecycle(lifecycle).into()]).await;
        ermine.append("a", [started("ada"), travelled(2)]).await.unwrap();
        ermine.catch_up().await.unwrap();
        let first = ermine.append("a", [travelled(3)]).await.unwrap();
        assert_eq!(ermine.fetch_latest::<Trip>("a").await.unwrap().unwrap().km, 5, "{lifecycle:?}");
        let writing = ermine.fetch_for_writing::<Trip>("a").await.unwrap();
        assert_eq!(writing.version(), first.version());
        ermine.append("a", [TripEvent::Ended]).await.unwrap();
        assert!(writing.append([TripEvent::Cancelled]).await.unwrap_err().as_conflict().is_some());
        let then = ermine.aggregate_stream::<Trip>("a", Until::Version(Version::new(2))).await.unwrap();
        assert_eq!(then.unwrap().km, 2);
    }
}

#[tokio::test]
async fn everything_that_cannot_work_is_said_at_once() {
    let refused = Ermine::with_store(Arc::new(MemoryStore::new()))
        .project(single_stream::<Trip>("Trip"))
        .project(single_stream::<Trip>("Trip"))
        .project(multi_stream::<Total, _, _>("Total", |_| "all").live())
        .project(single_stream::<Trip>("Later").after("Nobody"))
        .project(single_stream::<Trip>("Egg").after("Hen"))
        .project(single_stream::<Trip>("Hen").after("Egg"))
        .project(flat_table::<TripEvent>("One", "trips").column("km", ColumnKind::Real))
        .project(flat_table::<TripEvent>("Two", "trips").column("km", ColumnKind::Real))
        .project(flat_table::<TripEvent>("Bad", "Trips").on("trip.lost", |row| row.map("kilo")))
        .project(
            event_projection("Sql", |_: &Recorded<TripEvent>, _: &mut ViewChanges<i64>| Ok(()))
                .native("postgres"),
        )
        .start()
        .await
        .unwrap_err()
        .to_string();
    for fault in [
        "projection \"Trip\" version 1 is registered 2 times",
        "a multi-stream aggregate cannot be Live: it can be Inline or Async",
        "\"Later\" runs after \"Nobody\", which is not registered; registered are ",
        "each of these waits for the next, for ever: Egg:All after Hen:All after Egg:All",
        "both \"One\" and \"Two\" own the table trips",
        "\"Trips\" cannot be the name of a table or column",
        "its events have no type \"trip.lost\"",
        "column \"kilo\" is not declared",
        "projection \"Sql\" makes statements for the store \"postgres\" and cannot run on \"memory\"",
    ] {
        assert!(refused.contains(fault), "{fault}\nis not in\n{refused}");
    }
}

#[tokio::test]
async fn only_versions_that_keep_views_can_be_asked() {
    let ermine = host([
        single_stream::<Trip>("Trip").version(2).into(),
        single_stream::<Trip>("Trip").version(3).only(["trip.travelled"]).into(),
        single_stream::<Trip>("Trip").version(5).live().into(),
    ])
    .await;
    ermine.append("a", [started("ada"), travelled(4)]).await.unwrap();
    ermine.catch_up().await.unwrap();
    let query = || ermine.query::<Trip>().unwrap();
    assert_eq!(query().load("a").await.unwrap(), Some(trip("ada", 4)), "the lowest is the one in service");
    for (version, expected) in [(2, trip("ada", 4)), (3, trip("", 4))] {
        let found = query().version(version).unwrap().load("a").await.unwrap();
        assert_eq!(found, Some(expected), "version {version}");
    }
    for version in [0, 1, 4, 5] {
        let refused = query().version(version).unwrap_err();
        assert_eq!(*refused.kind(), ermine::ErrorKind::NotFound);
        let expected = format!("no version {version} of projection \"Trip\" that keeps views is registered");
        assert_eq!(refused.to_string(), expected);
    }
    let unknown = ermine.query_of::<Trip>("Tripp").unwrap_err();
    assert_eq!(*unknown.kind(), ermine::ErrorKind::NotFound);
}

#[tokio::test]
async fn tenants_are_rolled_up_into_one_view_each() {
    let ermine = host([ermine::core::tenant_roll_up::<Total>("Tenants").into()]).await;
    for (tenant, km) in [("acme", 3), ("", 4), ("acme", 5)] {
        let event = NewEvent::of(&TripEvent::Travelled { km }).unwrap();
        let stream =
            StreamAppend::new("a".parse().unwrap(), vec![event]).for_tenant(TenantId::new(tenant).unwrap());
        ermine.append_batch(AppendBatch::new().stream(stream)).await.unwrap();
    }
    ermine.catch_up().await.unwrap();
    assert_eq!(ermine.load::<Total>("acme").await.unwrap(), Some(Total { legs: 2, km: 8 }));
    assert_eq!(ermine.load::<Total>("default").await.unwrap(), Some(Total { legs: 1, km: 4 }));
}
