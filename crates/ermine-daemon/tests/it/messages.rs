//! What people read when something has gone wrong, word for word.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use ermine_core::{
    Action, DeadLetters, ErrorClass, ErrorPolicy, LetterId, LetterQuery, ParkKey, Response, Seq, StreamId,
    TenantId, ViewId, ViewKey,
    policy::{of_type, pause, retry_later, stop},
    ports::Store,
    subscription,
};
use ermine_daemon::{Daemon, ShardState, Thresholds};
use ermine_memory::MemoryStore;

use crate::{
    letters::{boards, noted, numbers, odd, run},
    support::{Listener, Rig, settings},
};

fn shared(store: &MemoryStore) -> Arc<dyn Store> {
    Arc::new(store.clone())
}

#[tokio::test]
async fn the_rules_of_a_shard() {
    let store = MemoryStore::new();
    let ours = ErrorPolicy::new()
        .on_error(ErrorClass::Apply.and(of_type::<std::fmt::Error>()), pause(Duration::from_secs(60)));
    let builder = Daemon::builder(shared(&store))
        .errors(ErrorPolicy::new().on_error(ErrorClass::Serialization, stop()))
        .projection(numbers().errors(ours).dead_letters(DeadLetters::park().for_unknown_events()));
    let handle = builder.build().unwrap().handle();
    let table = handle.errors_of(&"Numbers:All".parse().unwrap()).unwrap();
    assert_eq!(
        table.to_string(),
        "continuous: apply, of type core::fmt::Error: pause for 60s (projection)\n\
         continuous: serialization: stop (daemon)\n\
         continuous: transient: retry after 250ms, 500ms, 1s, then wait for the store, at most 30s (default)\n\
         continuous: fenced: stand back (default)\n\
         continuous: out_of_order: stand back (default)\n\
         continuous: apply: skip (default)\n\
         continuous: serialization: skip (default)\n\
         continuous: unknown_event: skip (default)\n\
         continuous: configuration: halt (default)\n\
         continuous: fatal: halt (default)\n\
         rebuild: transient: retry after 250ms, 500ms, 1s, then wait for the store, at most 30s (default)\n\
         rebuild: fenced: stand back (default)\n\
         rebuild: out_of_order: stand back (default)\n\
         rebuild: apply: halt (default)\n\
         rebuild: serialization: halt (default)\n\
         rebuild: unknown_event: halt (default)\n\
         rebuild: configuration: halt (default)\n\
         rebuild: fatal: halt (default)\n\
         dead letters: later events of the view or stream wait; at most 10000, then halt, also for unknown events"
    );
}

#[tokio::test]
async fn rules_that_cannot_work() {
    let fault = |policy: ErrorPolicy, letters: DeadLetters| {
        let projection = numbers().errors(policy).dead_letters(letters);
        let built = Daemon::builder(shared(&MemoryStore::new())).projection(projection).build();
        built.unwrap_err().to_string()
    };
    let on = |class, action| ErrorPolicy::new().on_error(class, Response::of(action));
    let fine = DeadLetters::skip();
    assert_eq!(
        fault(on(ErrorClass::Transient, Action::Skip), fine),
        "projection \"Numbers\": the rule \"transient: skip\" cannot work: no event is to blame for such a failure, so none can \
         be skipped"
    );
    assert_eq!(
        fault(on(ErrorClass::Apply, Action::StandBack), fine),
        "projection \"Numbers\": the rule \"apply: stand back\" cannot work: standing back is for shards that another process \
         has taken"
    );
    assert_eq!(
        fault(on(ErrorClass::Apply, Action::Stop).skip_apply_errors(true), fine),
        "projection \"Numbers\": the rule \"apply: skip\" is never reached, because of \"apply: stop\" before it: put it first, or \
         leave it out"
    );
    assert_eq!(
        fault(ErrorPolicy::new().on_error(ErrorClass::Fatal, retry_later([])), fine),
        "projection \"Numbers\": the rule for fatal says nothing to do: give it retries or an action"
    );
    assert_eq!(
        fault(ErrorPolicy::new(), fine.when_full(Action::Skip)),
        "projection \"Numbers\": \"skip\" cannot be what is done when there are as many dead letters as may be: it has to be \
         pause, pause all, halt, stop or stop all"
    );
    let daemon = Daemon::builder(shared(&MemoryStore::new()))
        .projection(numbers())
        .rebuild_errors(on(ErrorClass::Fenced, Action::Skip));
    assert_eq!(
        daemon.build().unwrap_err().to_string(),
        "the daemon: for rebuilds: the rule \"fenced: skip\" cannot work: no event is to blame for such a failure, so none can \
         be skipped"
    );
}

#[test]
fn letters_by_name() {
    let id = |key| LetterId { shard: "Trip:All".parse().unwrap(), seq: Seq::new(7), key }.to_string();
    assert_eq!(id(None), "event 7 of shard Trip:All");
    let view = ViewKey::new(ViewId::new("ada").unwrap());
    assert_eq!(id(Some(ParkKey::View(view))), "event 7 of shard Trip:All, view \"ada\" parked");
    let (tenant, stream) = (TenantId::new("acme").unwrap(), StreamId::new("trip-1").unwrap());
    let stream = ParkKey::Stream { tenant, stream };
    assert_eq!(id(Some(stream)), "event 7 of shard Trip:All, stream \"trip-1\" of tenant \"acme\" parked");
}

#[tokio::test]
async fn retries_say_what_they_will_do_to_the_order_of_events() {
    let plan = async |registered: ermine_core::Registered| {
        let store = MemoryStore::new();
        let rig = run(&store, registered);
        let position = rig.append(odd("a", 1, "planned")).await;
        rig.reach(position).await;
        let dead = rig.handle.dead_letters().unwrap();
        dead.retry(LetterQuery::default(), "ada").await.unwrap().to_string()
    };
    assert_eq!(
        plan(numbers().into()).await,
        "Numbers:All: 1 skipped events, whose views are made again out of their streams, in order"
    );
    assert_eq!(
        plan(boards().into()).await,
        "Boards:All: 1 skipped events, which are applied late, on top of the events that came after them"
    );
    assert_eq!(
        plan(boards().dead_letters(DeadLetters::park()).into()).await,
        "Boards:All: 1 parked events and what waits behind them, in order"
    );
}

#[tokio::test]
async fn questions_about_what_is_not_there() {
    let store = MemoryStore::new();
    let daemon = Daemon::builder(shared(&store))
        .projection(numbers())
        .projection(subscription("Listener", Listener::default()))
        .settings(settings())
        .build();
    let handle = daemon.unwrap().handle();
    let unknown = "there is no shard Trips; the shards are: Listener:All, Numbers:All";
    assert_eq!(handle.pause("Trips", "ada", "why", None).await.unwrap_err().to_string(), unknown);
    assert_eq!(handle.resume("Trips").await.unwrap_err().to_string(), unknown);
    assert_eq!(
        handle.errors_of(&"Trips:All".parse().unwrap()).unwrap_err().to_string(),
        "there is no shard Trips:All; the shards are: Listener:All, Numbers:All"
    );
    assert_eq!(
        handle.skip_event(Seq::new(5), "why").await.unwrap_err().to_string(),
        "there is no event 5 that could be marked: it does not exist, or is marked already"
    );
    let dead = handle.dead_letters().unwrap();
    let id = LetterId { shard: "Numbers:All".parse().unwrap(), seq: Seq::new(7), key: None };
    assert_eq!(
        dead.show(&id).await.unwrap_err().to_string(),
        "there is no dead letter for event 7 of shard Numbers:All"
    );
    assert_eq!(
        dead.retry(LetterQuery::default(), "ada").await.unwrap_err().to_string(),
        "no dead letter waits that matches"
    );
}

#[tokio::test]
async fn a_retry_that_nobody_does() {
    let store = MemoryStore::new();
    let rig = run(&store, numbers());
    let position = rig.append(odd("a", 1, "undone")).await;
    rig.reach(position).await;
    let dead = rig.handle.dead_letters().unwrap();
    rig.stop().await.unwrap();
    let retry = dead.retry(LetterQuery::default(), "ada").await.unwrap();
    assert_eq!(
        retry.run(Duration::from_millis(5)).await.unwrap_err().to_string(),
        "waited 5ms for 1 dead letters, and 1 are not dealt with yet: they will be as soon as their shards run"
    );
}

/// States and reasons carry a time, which is cut off here.
#[tokio::test]
async fn states_and_reasons() {
    let store = MemoryStore::new();
    let small = DeadLetters::skip().cap(NonZeroU64::MIN).when_full(Action::Stop);
    let rig = run(&store, numbers().dead_letters(small));
    let first = rig.append(noted("a", 1)).await;
    rig.reach(first).await;
    assert_eq!(rig.handle.status()[0].to_string(), "Numbers:All is at 1, running");
    rig.handle.pause("Numbers", "ada", "moving house", None).await.unwrap();
    rig.state(|state| matches!(state, ShardState::Paused { .. })).await;
    assert_eq!(
        rig.handle.status()[0].to_string(),
        "Numbers:All is at 1, paused by ada until somebody resumes it: moving house"
    );
    let reason = reason(&rig).await;
    assert_eq!(reason, ("paused", Some("moving house".into()), Some("ada".into())));
    rig.handle.resume_all().await.unwrap();
    rig.append(odd("a", 2, "stated")).await;
    rig.append(odd("a", 3, "stated")).await;
    let state = rig.state(|state| matches!(state, ShardState::Stopped { .. })).await;
    let full = "shard Numbers:All has 1 dead letters and waiting events, and at most 1 are allowed: retry or discard some, or \
                raise the cap";
    assert_eq!(state.to_string(), format!("stopped: {full}"));
    assert_eq!(self::reason(&rig).await, ("stopped", Some(full.into()), None));
    let waited = rig.handle.wait_for(ermine_core::Position::new(Seq::new(3)), settings().retry_max).await;
    assert_eq!(
        waited.unwrap_err().to_string(),
        format!("position 3 will not be reached: Numbers:All is at 2, stopped: {full}")
    );
}

async fn reason(rig: &Rig) -> (&'static str, Option<String>, Option<String>) {
    let health = rig.handle.health(&Thresholds::default()).await;
    assert!(health.live && !health.ready);
    let shard = health.shards.into_iter().next().unwrap();
    (shard.state, shard.reason, shard.by)
}
