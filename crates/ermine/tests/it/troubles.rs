//! What happens to events that fail, in a host with its daemon, on every store.

use std::{
    collections::HashSet,
    sync::{LazyLock, Mutex},
    time::Duration,
};

use ermine::{
    ErrorKind, Result,
    core::{Body, LetterQuery, LetterState, LetterStatus, MultiStream, Projected, Registered, Seq, TypeName},
    daemon::{Retried, ShardState, Thresholds},
    policy::{halt, skip},
    prelude::*,
};

use crate::stores::{Fresh, on_every_store};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The reasons for which orders are not refused any more; each case has its own, on each store.
static CURED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

#[derive(DomainEvent)]
pub(crate) enum OrderEvent {
    Placed { item: String },
    Refunded { item: String, why: String },
}

pub(crate) fn placed(item: &str) -> OrderEvent {
    OrderEvent::Placed { item: item.into() }
}

pub(crate) fn refunded(item: &str, why: &str) -> OrderEvent {
    OrderEvent::Refunded { item: item.into(), why: why.into() }
}

/// What was ordered, in order; a refund is refused until its reason is known.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Items(pub(crate) Vec<String>);

#[derive(Debug, thiserror::Error)]
#[error("nobody refunds because of \"{0}\"")]
struct Unheard(String);

impl Aggregate for Items {
    type Event = OrderEvent;

    fn evolve(items: Option<Self>, event: &Recorded<OrderEvent>) -> Result<Option<Self>, ApplyError> {
        let mut items = items.unwrap_or_default();
        items.0.push(line(event.data())?);
        Ok(Some(items))
    }
}

/// What an event adds to a list of items.
pub(crate) fn line(event: &OrderEvent) -> Result<String, ApplyError> {
    match event {
        OrderEvent::Placed { item } => Ok(item.clone()),
        OrderEvent::Refunded { why, .. } if !is_cured(why) => Err(Unheard(why.clone()).into()),
        OrderEvent::Refunded { item, .. } => Ok(format!("-{item}")),
    }
}

pub(crate) fn items(of: &[&str]) -> Items {
    Items(of.iter().map(ToString::to_string).collect())
}

pub(crate) fn by_item() -> Projected<MultiStream<Items>> {
    multi_stream("ByItem", |event: &Recorded<OrderEvent>| match event.data() {
        OrderEvent::Placed { item } | OrderEvent::Refunded { item, .. } => item.clone(),
    })
}

pub(crate) async fn host(fresh: &Fresh, projections: impl IntoIterator<Item = Registered>) -> Result<Ermine> {
    let builder = Ermine::with_store(fresh.store()).daemon(DaemonMode::Solo).wait_timeout(SOON);
    projections.into_iter().fold(builder, ermine::ErmineBuilder::project).start().await
}

/// A reason that no other case knows.
pub(crate) fn reason(fresh: &Fresh, case: &str) -> String {
    format!("{case} on {}", fresh.store().kind())
}

pub(crate) fn cure(why: &str) {
    CURED.lock().unwrap().insert(why.to_owned());
}

/// Forgets a reason again.
pub(crate) fn fall_ill(why: &str) {
    CURED.lock().unwrap().remove(why);
}

pub(crate) fn is_cured(why: &str) -> bool {
    CURED.lock().unwrap().contains(why)
}

async fn a_refused_event_is_passed_and_found_again_in_its_place(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "place");
    let ermine = host(&fresh, [single_stream::<Items>("Order").into()]).await?;
    ermine.append("o-1", [placed("pen"), refunded("pen", &why), placed("cup")]).await?;
    let other = ermine.append("o-2", [placed("hat")]).await?;
    ermine.wait_for(other.position()).await?;
    assert_eq!(ermine.load::<Items>("o-1").await?, Some(items(&["pen", "cup"])));
    assert_eq!(ermine.load::<Items>("o-2").await?, Some(items(&["hat"])));
    let dead = ermine.dead_letters()?;
    let letters = dead.list(LetterQuery::default()).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        letters[0].error,
        format!(
            "the projection refused event 2 (order.refunded, version 2 of stream \"o-1\"): nobody refunds because of \
             \"{why}\""
        )
    );
    let again = dead.retry(LetterQuery::default(), "ada").await?.run(SOON).await?;
    assert_eq!(again, Retried { replayed: 0, refused: 1 });
    cure(&why);
    let again = dead.retry(LetterQuery::default(), "ada").await?.run(SOON).await?;
    assert_eq!(again, Retried { replayed: 1, refused: 0 });
    assert_eq!(ermine.load::<Items>("o-1").await?, Some(items(&["pen", "-pen", "cup"])));
    assert_eq!(dead.show(&letters[0].id).await?.attempts, 3);
    ermine.stop().await
}

async fn behind_a_parked_event_its_view_waits_in_order(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "order");
    let parks = || by_item().dead_letters(DeadLetters::park()).into();
    let ermine = host(&fresh, [parks()]).await?;
    ermine.append("o-1", [placed("pen"), refunded("pen", &why)]).await?;
    let last = ermine.append("o-2", [placed("cup"), placed("pen")]).await?;
    ermine.wait_for(last.position()).await?;
    assert_eq!(ermine.load::<Items>("pen").await?, Some(items(&["pen"])));
    assert_eq!(ermine.load::<Items>("cup").await?, Some(items(&["cup"])));
    // Another process finds what waits.
    ermine.stop().await?;
    cure(&why);
    let ermine = host(&fresh, [parks()]).await?;
    let last = ermine.append("o-3", [placed("pen")]).await?;
    ermine.wait_for(last.position()).await?;
    assert_eq!(ermine.load::<Items>("pen").await?, Some(items(&["pen"])), "it still waits");
    let retry = ermine.dead_letters()?.retry(LetterQuery::default(), "ada").await?;
    assert_eq!(retry.to_string(), "ByItem:All: 1 parked events and what waits behind them, in order");
    assert_eq!(retry.run(SOON).await?, Retried { replayed: 1, refused: 0 });
    assert_eq!(ermine.load::<Items>("pen").await?, Some(items(&["pen", "-pen", "pen", "pen"])));
    ermine.stop().await
}

async fn a_discarded_event_lets_those_behind_it_go_on(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "discard");
    let ermine = host(&fresh, [by_item().dead_letters(DeadLetters::park()).into()]).await?;
    let last = ermine.append("o-1", [refunded("pen", &why), placed("pen")]).await?;
    ermine.wait_for(last.position()).await?;
    let dead = ermine.dead_letters()?;
    assert_eq!(dead.discard(LetterQuery::default(), "ada", "it was a test").await?, 1);
    let discarded = LetterQuery { statuses: vec![LetterStatus::Discarded], ..LetterQuery::default() };
    ermine_testkit::eventually(SOON, || async {
        if dead.count(discarded.clone()).await.unwrap() == 1 { Ok(()) } else { Err("not yet") }
    })
    .await;
    assert_eq!(ermine.load::<Items>("pen").await?, Some(items(&["pen"])));
    let LetterState::Discarded { by, reason, .. } = dead.list(discarded).await?.remove(0).state else {
        unreachable!("asked for")
    };
    assert_eq!((by.as_str(), reason.as_str()), ("ada", "it was a test"));
    ermine.stop().await
}

async fn a_halted_shard_goes_on_when_its_event_is_skipped(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "halt");
    let careful = single_stream::<Items>("Order").on_error(ErrorClass::Apply, halt());
    let ermine = host(&fresh, [careful.into()]).await?;
    ermine.append("o-1", [placed("pen"), refunded("pen", &why)]).await?;
    let last = ermine.append("o-1", [placed("cup")]).await?;
    ermine_testkit::eventually(SOON, || async {
        let status = ermine.status().remove(0);
        match status.state {
            ShardState::Paused { .. } if status.halted_at == Some(Seq::new(2)) => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    assert_eq!(ermine.status()[0].progress, Seq::new(1), "it stands right before the event");
    let health = ermine.health(&Thresholds::default()).await.unwrap();
    assert!(health.live && !health.ready);
    assert_eq!((health.shards[0].state, health.shards[0].behind_events), ("paused", Some(2)));
    ermine.skip_event(Seq::new(2), "it was a test").await?;
    ermine.wait_for(last.position()).await?;
    assert_eq!(ermine.load::<Items>("o-1").await?, Some(items(&["pen", "cup"])));
    let letters = ermine.dead_letters()?.list(LetterQuery::default()).await?;
    assert_eq!((letters[0].id.seq, letters[0].class), (Seq::new(2), None));
    ermine.stop().await
}

async fn a_rule_by_type_goes_before_the_defaults(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "type");
    let ours = ErrorPolicy::new()
        .on_error(ermine::policy::of_type::<Unheard>(), skip())
        .on_error(ErrorClass::Apply, halt());
    let ermine = host(&fresh, [single_stream::<Items>("Order").errors(ours).into()]).await?;
    let last = ermine.append("o-1", [refunded("pen", &why), placed("cup")]).await?;
    ermine.wait_for(last.position()).await?;
    assert_eq!(ermine.load::<Items>("o-1").await?, Some(items(&["cup"])));
    let table = ermine.errors_of(&"Order:All".parse()?)?.to_string();
    assert!(table.starts_with("continuous: any, of type "), "{table}");
    ermine.stop().await
}

async fn unknown_events_leave_letters_where_they_are_asked_for(fresh: Fresh) -> Result<()> {
    let counted = single_stream::<Items>("Counted");
    let lettered = by_item().dead_letters(DeadLetters::skip().for_unknown_events());
    let ermine = host(&fresh, [counted.into(), lettered.into()]).await?;
    let strange =
        NewEvent::new(TypeName::new("order.gifted")?, Body::from_json(r#"{ "to":  "bob" }"#.to_owned())?);
    let append = StreamAppend::new("o-1".parse()?, vec![strange]);
    let last = ermine.append_batch(AppendBatch::new().stream(append)).await?;
    ermine.wait_for(last.position()).await?;
    let letters = ermine.dead_letters()?.list(LetterQuery::default()).await?;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].id.shard.to_string(), "ByItem:All");
    assert_eq!(letters[0].class, Some(ErrorClass::UnknownEvent));
    assert_eq!(letters[0].body.as_bytes(), br#"{ "to":  "bob" }"#);
    for progress in ermine.progress().await? {
        assert_eq!(progress.unknown_events, 1, "{}", progress.shard);
    }
    ermine.stop().await
}

async fn catching_up_stops_at_a_refused_event_and_names_it(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "catch up");
    let ermine = Ermine::with_store(fresh.store()).project(single_stream::<Items>("Order")).start().await?;
    ermine.append("o-1", [placed("pen"), refunded("pen", &why)]).await?;
    let refused = ermine.catch_up().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Apply { seq: Seq::new(2) });
    assert!(
        refused.chain().contains("the projection refused event 2 (order.refunded"),
        "{}",
        refused.chain()
    );
    assert_eq!(ermine.dead_letters()?.count(LetterQuery::default()).await?, 0);
    Ok(())
}

async fn a_pause_reaches_the_process_that_runs_the_shard(fresh: Fresh) -> Result<()> {
    let runs = host(&fresh, [single_stream::<Items>("Order").into()]).await?;
    let asks = Ermine::with_store(fresh.store()).project(single_stream::<Items>("Order")).start().await?;
    let first = runs.append("o-1", [placed("pen")]).await?;
    runs.wait_for(first.position()).await?;
    asks.pause("Order", "ada", "moving house", None).await?;
    let is_paused = || async {
        match runs.status().remove(0).state {
            ShardState::Paused { by, .. } if by == "ada" => Ok(()),
            other => Err(other.to_string()),
        }
    };
    ermine_testkit::eventually(SOON, is_paused).await;
    let second = runs.append("o-1", [placed("cup")]).await?;
    asks.resume_all().await?;
    runs.wait_for(second.position()).await?;
    let unknown = asks.pause("Ordre", "ada", "a slip", None).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no shard Ordre; the shards are: Order:All");
    runs.stop().await
}

on_every_store!(
    a_refused_event_is_passed_and_found_again_in_its_place,
    behind_a_parked_event_its_view_waits_in_order,
    a_discarded_event_lets_those_behind_it_go_on,
    a_halted_shard_goes_on_when_its_event_is_skipped,
    a_rule_by_type_goes_before_the_defaults,
    unknown_events_leave_letters_where_they_are_asked_for,
    catching_up_stops_at_a_refused_event_and_names_it,
    a_pause_reaches_the_process_that_runs_the_shard,
);
