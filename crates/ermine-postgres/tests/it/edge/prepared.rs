use ermine_core::ports::{HighWaterSource, SchemaAdmin};
use ermine_postgres::Store;
use ermine_testkit::{
    eventually,
    pg::{OwnServer, OwnedClient, Settings, Stop},
};

use super::{Scene, add, run};
use crate::common::{DEADLINE, LEAVE, last_and_mark, registration};

#[tokio::test]
async fn a_prepared_transaction_holds_the_mark_without_a_session() {
    for (end, visible) in [("commit", vec![1, 2, 3]), ("rollback", vec![3])] {
        let scene = Scene::new().await;
        let open = scene.begun().await;
        run(&open, &format!("{}; prepare transaction 'two phases {end}'", add(2))).await;
        run(&open, &add(1)).await;
        drop(open);
        assert_eq!(scene.look().await, (3, 0));
        let holders = scene.it.store.explain().await.unwrap();
        assert_eq!((holders.len(), holders[0].pid), (1, None), "{holders:?}");
        assert_eq!(holders[0].state, format!("prepared two phases {end}"));
        run(&scene.session().await, &format!("{end} prepared 'two phases {end}'")).await;
        assert_eq!((scene.look().await, scene.events().await), ((3, 3), visible), "{end}");
    }
}

/// An armed bell makes appends notify, and PostgreSQL does not prepare a transaction that has.
#[tokio::test]
async fn a_two_phase_writer_turns_the_bell_off() {
    let scene = Scene::new().await;
    let arm = ermine_core::Observe { bell: ermine_core::Bell::Arm(DEADLINE), ..LEAVE };
    scene.it.store.observe(arm).await.unwrap();
    let open = scene.session().await;
    run(&open, &format!("set ermine.no_bell = on; begin; {}; prepare transaction 'quiet one'", add(1))).await;
    assert_eq!(scene.look().await, (1, 0));
    run(&open, "commit prepared 'quiet one'").await;
    assert_eq!(scene.look().await, (1, 1));
}

#[tokio::test]
async fn a_prepared_transaction_holds_the_mark_across_a_crash() {
    let settings = Settings {
        extra: &[("max_prepared_transactions", "5"), ("synchronous_commit", "on")],
        ..Settings::default()
    };
    let mut server = OwnServer::start(settings).await;
    let url = server.url("postgres");
    let store = Store::connect(url.as_str()).await.unwrap();
    store.migrate(&registration()).await.unwrap();
    let before = store.observe(LEAVE).await.unwrap();
    let client = server.connect("postgres").await;
    run(&client, &format!("begin; {}; prepare transaction 'p'; {}", add(2), add(1))).await;
    assert_eq!(last_and_mark(&store.observe(LEAVE).await.unwrap()), (3, 0));
    server.stop(Stop::Immediate).await;
    server.start_again().await;
    let after =
        eventually(DEADLINE, || async { store.observe(LEAVE).await.map_err(|err| err.chain()) }).await;
    assert_ne!(after.incarnation, before.incarnation, "a crash begins another incarnation");
    let (last, mark) = last_and_mark(&after);
    assert!(last >= 3 && mark == 0, "({last}, {mark})");
    let client = OwnedClient::connect(&url).await.unwrap();
    run(&client, "commit prepared 'p'").await;
    assert_eq!(last_and_mark(&store.observe(LEAVE).await.unwrap()), (last, last));
}
