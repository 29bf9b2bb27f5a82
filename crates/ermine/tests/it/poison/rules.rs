//! Rules about failures as a host shows them, and those with which it does not start.

use std::{sync::Arc, time::Duration};

use ermine::{
    ErrorKind,
    core::Registered,
    policy::{halt, pause, retry_now, skip, stop},
    prelude::*,
};
use ermine_memory::MemoryStore;

use crate::troubles::{Items, by_item};

async fn refused(builder: ermine::ErmineBuilder) -> String {
    let refused = builder.start().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration, "{}", refused.chain());
    refused.chain()
}

fn builder(projections: impl IntoIterator<Item = Registered>) -> ermine::ErmineBuilder {
    let builder = Ermine::with_store(Arc::new(MemoryStore::new()));
    projections.into_iter().fold(builder, ermine::ErmineBuilder::project)
}

#[tokio::test]
async fn the_description_of_a_shard_has_its_rules_with_where_they_come_from() {
    let orders = single_stream::<Items>("Order")
        .on_error(ErrorClass::Apply, retry_now().then(pause(Duration::from_secs(60))))
        .dead_letters(DeadLetters::park().for_unknown_events());
    let now = single_stream::<Items>("Now").inline();
    let ermine = builder([orders.into(), by_item().into(), now.into()])
        .errors(ErrorPolicy::new().on_error(ErrorClass::Serialization, stop()))
        .rebuild_errors(ErrorPolicy::new().skip_unknown_events(true))
        .start()
        .await
        .unwrap();
    let shown: Vec<String> = ermine.describe().iter().map(ToString::to_string).collect();
    let rest = "
  continuous: serialization: stop (daemon)
  continuous: transient: retry after 250ms, 500ms, 1s, then wait for the store, at most 30s (default)
  continuous: fenced: stand back (default)
  continuous: out_of_order: stand back (default)
  continuous: apply: skip (default)
  continuous: serialization: skip (default)
  continuous: unknown_event: skip (default)
  continuous: configuration: halt (default)
  continuous: fatal: halt (default)
  rebuild: unknown_event: skip (daemon)
  rebuild: transient: retry after 250ms, 500ms, 1s, then wait for the store, at most 30s (default)
  rebuild: fenced: stand back (default)
  rebuild: out_of_order: stand back (default)
  rebuild: apply: halt (default)
  rebuild: serialization: halt (default)
  rebuild: unknown_event: halt (default)
  rebuild: configuration: halt (default)
  rebuild: fatal: halt (default)";
    let (first, rules) = shown[0].split_once('\n').unwrap();
    assert!(first.starts_with("Order version 1: ") && first.contains(", shard Order:All"), "{first}");
    assert_eq!(
        format!("\n{rules}"),
        format!(
            "\n  continuous: apply: retry after 0ns, then pause for 60s (projection){rest}\n  dead letters: later events \
             of the view or stream wait; at most 10000, then halt, also for unknown events"
        )
    );
    let (_, rules) = shown[1].split_once('\n').unwrap();
    assert_eq!(
        format!("\n{rules}"),
        format!("{rest}\n  dead letters: later events go on; at most 10000, then halt")
    );
    assert!(!shown[2].contains('\n'), "no shard runs it: {}", shown[2]);
    assert_eq!(ermine.errors_of(&"Order:All".parse().unwrap()).unwrap().to_string().lines().count(), 20);
}

#[tokio::test]
async fn where_no_daemon_runs_rules_about_errors_are_refused() {
    let orders = || single_stream::<Items>("Order");
    for wrong in [
        orders().inline().on_error(ErrorClass::Apply, skip()),
        orders().live().on_error(ErrorClass::Apply, skip()),
        orders().inline().rebuild_errors(ErrorPolicy::new().skip_apply_errors(true)),
        orders().inline().dead_letters(DeadLetters::park()),
    ] {
        let said = refused(builder([wrong.into()])).await;
        assert!(
            said.contains(
                "rules about errors are for the daemon: an inline projection that fails refuses the append"
            ),
            "{said}"
        );
        assert!(said.contains("\"Order\""), "{said}");
    }
}

#[tokio::test]
async fn a_rule_that_is_never_reached_is_refused() {
    let orders = single_stream::<Items>("Order")
        .on_error(ErrorClass::Apply, skip())
        .on_error(ErrorClass::Apply, halt());
    let said = refused(builder([orders.into()])).await;
    assert!(
        said.contains("the rule \"apply: halt\" is never reached, because of \"apply: skip\" before it"),
        "{said}"
    );
}

#[tokio::test]
async fn everything_that_cannot_work_about_rules_is_said_at_once() {
    let orders = single_stream::<Items>("Order")
        .on_error(ErrorClass::Apply, skip())
        .on_error(ErrorClass::Apply, halt())
        .rebuild_errors(ErrorPolicy::new().on_error(ErrorClass::Fatal, skip()));
    let now = single_stream::<Items>("Now").inline().dead_letters(DeadLetters::park());
    let said = refused(
        builder([orders.into(), now.into()])
            .errors(ErrorPolicy::new().on_error(ErrorClass::Transient, skip()))
            .rebuild_errors(ErrorPolicy::new().skip_apply_errors(true).skip_apply_errors(false)),
    )
    .await;
    for fault in [
        "the rule \"apply: halt\" is never reached",
        "for rebuilds: the rule \"fatal: skip\" cannot work",
        "rules about errors are for the daemon",
        "the daemon: the rule \"transient: skip\" cannot work",
        "the daemon: for rebuilds: the rule \"apply: halt\" is never reached",
    ] {
        assert!(said.contains(fault), "{fault:?} is not in {said:?}");
    }
}
