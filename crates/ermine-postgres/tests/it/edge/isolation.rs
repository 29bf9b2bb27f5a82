use super::{Scene, add, run};

/// The floor comes from the sequence, which no snapshot covers.
#[tokio::test]
async fn an_append_with_an_old_snapshot_takes_the_newest_floor() {
    let scene = Scene::new().await;
    for level in ["repeatable read", "serializable"] {
        let open = scene.session().await;
        run(&open, &format!("begin isolation level {level}; select count(*) from ermine.events")).await;
        run(&scene.session().await, &add(7)).await;
        let before = scene.look().await.0;
        run(&open, &add(2)).await;
        assert_eq!(scene.look().await, (before + 2, before), "{level}");
        run(&open, "commit").await;
        assert_eq!(scene.look().await, (before + 2, before + 2), "{level}");
    }
}

#[tokio::test]
async fn a_replica_session_takes_its_floor_as_well() {
    let scene = Scene::new().await;
    let open = scene.session().await;
    run(&open, &format!("set session_replication_role = replica; begin; {}", add(2))).await;
    assert_eq!(scene.look().await, (2, 0));
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (2, 2));
}

#[tokio::test]
async fn an_unrelated_transaction_does_not_hold_the_mark() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(
        &open,
        "create table unrelated (n int); insert into unrelated values (1); select pg_current_xact_id()",
    )
    .await;
    run(&scene.session().await, &add(3)).await;
    assert_eq!(scene.look().await, (3, 3));
}
