//! A story for each kind of projection that does not fold views one by one.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ermine::{
    ErrorKind, Result,
    core::{
        Body, ErrorHandling, LetterId, LetterQuery, Operation, PageError, PageProjection, ParkKey, Seq,
        StoredView, Updated, ViewKey, ViewTable, Views,
    },
    daemon::{Retried, Settings, ShardState},
    prelude::*,
};

use crate::{
    stores::{Fresh, on_every_store},
    troubles::{Items, OrderEvent, SOON, by_item, cure, host, items, line, placed, reason, refunded},
};

const ONE: Retried = Retried { replayed: 1, refused: 0 };

async fn ids(ermine: &Ermine) -> Result<Vec<LetterId>> {
    let letters = ermine.dead_letters()?.list(LetterQuery::default()).await?;
    Ok(letters.into_iter().map(|letter| letter.id).collect())
}

fn id(shard: &str, seq: u64, waiting: Option<&str>) -> LetterId {
    let of = |stream: &str| ParkKey::Stream { tenant: TenantId::default(), stream: stream.parse().unwrap() };
    LetterId { shard: shard.parse().unwrap(), seq: Seq::new(seq), key: waiting.map(of) }
}

async fn retry_all(ermine: &Ermine) -> Result<(String, Retried)> {
    let retry = ermine.dead_letters()?.retry(LetterQuery::default(), "ada").await?;
    let said = retry.to_string();
    Ok((said, retry.run(SOON).await?))
}

/// What the second stage is told of orders.
#[derive(DomainEvent)]
enum ChangeEvent {
    #[event(name = "updated:Order")]
    Updated(Updated<Items>),
}

/// How many items there are in an order.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Count(usize);

impl Aggregate for Count {
    type Event = ChangeEvent;

    fn evolve(_: Option<Self>, event: &Recorded<ChangeEvent>) -> Result<Option<Self>, ApplyError> {
        let ChangeEvent::Updated(order) = event.data();
        Ok(Some(Self(order.view.0.len())))
    }
}

fn shop(letters: DeadLetters) -> ermine::core::Composite {
    let member = |projection| -> Arc<dyn Projection> { projection };
    let counts =
        multi_stream::<Count, _, _>("Counts", |event: &Recorded<ChangeEvent>| event.stream().to_string());
    composite("Shop")
        .stage([member(Arc::new(single_stream::<Items>("Order"))), member(Arc::new(by_item()))])
        .stage([member(Arc::new(counts))])
        .errors(ErrorHandling { dead_letters: Some(letters), ..ErrorHandling::default() })
}

async fn order(ermine: &Ermine, id: &str) -> Result<(Option<Items>, Option<usize>)> {
    let items = ermine.query_of::<Items>("Order")?.load(id).await?;
    Ok((items, ermine.load::<Count>(id).await?.map(|count| count.0)))
}

async fn of_item(ermine: &Ermine, item: &str) -> Result<Option<Items>> {
    ermine.query_of::<Items>("ByItem")?.load(item).await
}

async fn a_composite_passes_an_event_in_all_its_members(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "composite skips");
    let ermine = host(&fresh, [shop(DeadLetters::skip()).into()]).await?;
    let last = ermine.append("o-1", [placed("pen"), refunded("pen", &why), placed("cup")]).await?;
    ermine.wait_for(last.position()).await?;
    assert_eq!(order(&ermine, "o-1").await?, (Some(items(&["pen", "cup"])), Some(2)));
    assert_eq!(of_item(&ermine, "pen").await?, Some(items(&["pen"])));
    assert_eq!(ids(&ermine).await?, [id("Shop:All", 2, None)]);
    for progress in ermine.progress().await? {
        assert_eq!(progress.seq, last.position().seq(), "{}", progress.shard);
    }
    cure(&why);
    let (said, retried) = retry_all(&ermine).await?;
    assert!(said.ends_with("on top of the events that came after them"), "{said}");
    assert_eq!(retried, ONE);
    assert_eq!(order(&ermine, "o-1").await?, (Some(items(&["pen", "cup", "-pen"])), Some(3)));
    assert_eq!(of_item(&ermine, "pen").await?, Some(items(&["pen", "-pen"])));
    ermine.stop().await
}

async fn in_a_composite_the_stream_of_a_parked_event_waits(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "composite parks");
    let ermine = host(&fresh, [shop(DeadLetters::park()).into()]).await?;
    ermine.append("o-1", [placed("pen"), refunded("pen", &why), placed("cup")]).await?;
    let last = ermine.append("o-2", [placed("pen")]).await?;
    ermine.wait_for(last.position()).await?;
    assert_eq!(order(&ermine, "o-1").await?, (Some(items(&["pen"])), Some(1)));
    assert_eq!(order(&ermine, "o-2").await?, (Some(items(&["pen"])), Some(1)));
    assert_eq!(of_item(&ermine, "cup").await?, None);
    assert_eq!(ids(&ermine).await?, [id("Shop:All", 2, Some("o-1"))]);
    cure(&why);
    assert_eq!(retry_all(&ermine).await?.1, ONE);
    assert_eq!(order(&ermine, "o-1").await?, (Some(items(&["pen", "-pen", "cup"])), Some(3)));
    assert_eq!(of_item(&ermine, "pen").await?, Some(items(&["pen", "pen", "-pen"])));
    assert_eq!(of_item(&ermine, "cup").await?, Some(items(&["cup"])));
    ermine.stop().await
}

async fn all_of(ermine: &Ermine, name: &str) -> Result<Vec<(String, String)>> {
    let all = ermine.query_of::<String>(name)?.all().await?;
    let mut all: Vec<_> = all.into_iter().map(|(id, line)| (id.to_string(), line)).collect();
    all.sort();
    Ok(all)
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(id, line)| (id.to_string(), line.to_string())).collect()
}

async fn of_an_event_projection_the_stream_waits(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "event projection");
    let lines = event_projection("Lines", |event: &Recorded<OrderEvent>, views: &mut ViewChanges<String>| {
        views.store(format!("{}@{}", event.stream(), event.version()), &line(event.data())?)
    });
    let ermine = host(&fresh, [lines.dead_letters(DeadLetters::park()).into()]).await?;
    ermine.append("o-1", [placed("pen"), refunded("pen", &why), placed("cup")]).await?;
    let last = ermine.append("o-2", [placed("hat")]).await?;
    ermine.wait_for(last.position()).await?;
    assert_eq!(all_of(&ermine, "Lines").await?, pairs(&[("o-1@1", "pen"), ("o-2@1", "hat")]));
    assert_eq!(ids(&ermine).await?, [id("Lines:All", 2, Some("o-1"))]);
    cure(&why);
    assert_eq!(retry_all(&ermine).await?.1, ONE);
    let all = [("o-1@1", "pen"), ("o-1@2", "-pen"), ("o-1@3", "cup"), ("o-2@1", "hat")];
    assert_eq!(all_of(&ermine, "Lines").await?, pairs(&all));
    ermine.stop().await
}

/// Each event by its number, without saying which of a page it is that it refuses.
struct Taciturn;

impl PageProjection for Taciturn {
    type Event = OrderEvent;

    fn apply(
        &self,
        page: &[Recorded<OrderEvent>],
        _: &Views,
        table: &ViewTable,
    ) -> Result<Vec<Operation>, PageError> {
        let mut operations = Vec::new();
        for event in page {
            let seq = event.seq().unwrap_or(Seq::ZERO);
            let key = ViewKey { tenant: event.tenant().clone(), id: format!("{seq:0>3}").parse()? };
            let view =
                StoredView { body: Body::encode(&line(event.data())?)?, version: event.version(), seq };
            operations.push(Operation::Store { table: table.clone(), key, view });
        }
        Ok(operations)
    }
}

async fn who_is_to_blame_in_a_page_is_found_without_being_named(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "custom");
    let start = || host(&fresh, [custom("Taciturn", Taciturn).into()]);
    // All in one page.
    let before = Ermine::with_store(fresh.store()).start().await?;
    let ill = [7, 8, 30];
    let event = |n| if ill.contains(&n) { refunded("pen", &why) } else { placed("pen") };
    before.append("o-1", (1..=40).map(event)).await?;
    let ermine = start().await?;
    ermine.wait_for_non_stale(SOON).await?;
    let well: Vec<(String, String)> =
        (1..=40).filter(|n| !ill.contains(n)).map(|n| (format!("{n:0>3}"), "pen".into())).collect();
    assert_eq!(all_of(&ermine, "Taciturn").await?, well);
    assert_eq!(ids(&ermine).await?, ill.map(|seq| id("Taciturn:All", seq, None)));
    cure(&why);
    let (said, retried) = retry_all(&ermine).await?;
    assert!(said.starts_with("Taciturn:All: 3 skipped events, which are applied late"), "{said}");
    assert_eq!(retried, Retried { replayed: 3, refused: 0 });
    let all = all_of(&ermine, "Taciturn").await?;
    assert_eq!(all.len(), 40);
    assert_eq!(all.iter().filter(|(_, line)| line == "-pen").count(), 3);
    ermine.stop().await
}

/// Copies every line into the stream `audit`.
struct Audit {
    names_events: bool,
    seen: Arc<Mutex<Vec<u64>>>,
}

#[async_trait]
impl Subscriber for Audit {
    type Event = OrderEvent;

    async fn receive(
        &self,
        page: &[Recorded<OrderEvent>],
        effects: &mut PageEffects,
    ) -> Result<(), PageError> {
        for (at, event) in page.iter().enumerate().filter(|(_, event)| event.stream().as_str() != "audit") {
            self.seen.lock().unwrap().push(event.seq().map_or(0, Seq::get));
            match line(event.data()) {
                Ok(line) => effects.of(event).append("audit", [placed(&line)])?,
                Err(refused) if self.names_events => return Err(PageError::at(at, refused)),
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(())
    }
}

fn audit(names_events: bool) -> (ermine::core::Registered, Arc<Mutex<Vec<u64>>>) {
    let seen = Arc::<Mutex<Vec<u64>>>::default();
    (subscription("Audit", Audit { names_events, seen: seen.clone() }).into(), seen)
}

async fn audited(ermine: &Ermine, expected: &[&str]) -> Result<()> {
    ermine.wait_for_non_stale_of("Audit", SOON).await?;
    // What has been appended by then.
    ermine.wait_for_non_stale(SOON).await?;
    assert_eq!(ermine.load::<Items>("audit").await?, Some(items(expected)));
    Ok(())
}

async fn what_a_subscription_wants_with_an_event_is_done_once(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "subscription");
    let orders = single_stream::<Items>("Order").on_error(ErrorClass::Apply, ermine::policy::ignore());
    let ermine = host(&fresh, [audit(true).0, orders.into()]).await?;
    let last = ermine.append("o-1", [placed("pen"), refunded("pen", &why), placed("cup")]).await?;
    ermine.wait_for(last.position()).await?;
    audited(&ermine, &["pen", "cup"]).await?;
    assert_eq!(ids(&ermine).await?, [id("Audit:All", 2, None)]);
    cure(&why);
    let (said, retried) = retry_all(&ermine).await?;
    assert_eq!(
        said,
        "Audit:All: 1 skipped events, which are delivered late, after the events that came after them"
    );
    assert_eq!(retried, ONE);
    audited(&ermine, &["pen", "cup", "-pen"]).await?;
    let again = ermine.dead_letters()?.retry(LetterQuery::default(), "ada").await.unwrap_err();
    assert_eq!(*again.kind(), ErrorKind::NotFound);
    ermine.stop().await
}

async fn a_subscription_that_names_nobody_halts_and_says_at_which_page(fresh: Fresh) -> Result<()> {
    let why = reason(&fresh, "nobody");
    // All in one page.
    let before = Ermine::with_store(fresh.store()).start().await?;
    before.append("o-1", [placed("pen"), refunded("pen", &why), placed("cup")]).await?;
    let (audit, seen) = audit(false);
    let mut settings = Settings::default();
    (settings.pause_first, settings.pause_max) = (Duration::from_secs(600), Duration::from_secs(600));
    let ermine = Ermine::with_store(fresh.store())
        .project(audit)
        .project(single_stream::<Items>("Order"))
        .settings(settings)
        .daemon(DaemonMode::Solo)
        .start()
        .await?;
    let halted = ermine_testkit::eventually(SOON, || async {
        match ermine.status().remove(0).state {
            ShardState::Paused { by, reason, .. } if by == "policy" => Ok(reason),
            other => Err(other.to_string()),
        }
    });
    let said = halted.await;
    assert!(said.contains("folding events (0, 3] of shard Audit:All"), "{said}");
    assert!(said.contains("a page that begins with event 1"), "{said}");
    assert!(said.contains("nobody refunds because of"), "{said}");
    assert_eq!(*seen.lock().unwrap(), [1, 2], "it was not asked to do anything again");
    assert_eq!(ermine.progress_of(&"Audit:All".parse()?).await?, Seq::ZERO);
    let of_audit = LetterQuery { shard: Some("Audit:All".parse()?), ..LetterQuery::default() };
    assert_eq!(ermine.dead_letters()?.count(of_audit).await?, 0);
    cure(&why);
    ermine.resume("Audit").await?;
    audited(&ermine, &["pen", "-pen", "cup"]).await?;
    assert_eq!(*seen.lock().unwrap(), [1, 2, 1, 2, 3]);
    ermine.stop().await
}

on_every_store!(
    a_composite_passes_an_event_in_all_its_members,
    in_a_composite_the_stream_of_a_parked_event_waits,
    of_an_event_projection_the_stream_waits,
    who_is_to_blame_in_a_page_is_found_without_being_named,
    what_a_subscription_wants_with_an_event_is_done_once,
    a_subscription_that_names_nobody_halts_and_says_at_which_page,
);
