use super::{Scene, add, run};

/// A lock key holds the lower half of a number.
#[tokio::test]
async fn floors_are_exact_where_the_lock_key_wraps() {
    for wrap in [1_u64 << 32, (3 << 32) + (1 << 31)] {
        let scene = Scene::new().await;
        let around = |(last, mark): (u64, u64)| {
            (last.cast_signed() - wrap.cast_signed(), mark.cast_signed() - wrap.cast_signed())
        };
        run(&scene.session().await, &format!("select setval('ermine.events_seq_seq', {})", wrap - 5)).await;
        let (one, two, three) = (scene.begun().await, scene.begun().await, scene.begun().await);
        run(&one, &add(3)).await;
        assert_eq!(around(scene.look().await), (-2, -5));
        run(&two, &add(10)).await;
        assert_eq!(around(scene.look().await), (8, -5));
        run(&three, &add(1)).await;
        assert_eq!(around(scene.look().await), (9, -5));
        run(&one, "commit").await;
        assert_eq!(around(scene.look().await), (9, -2));
        run(&two, "commit").await;
        assert_eq!(around(scene.look().await), (9, 8));
        run(&three, "rollback").await;
        assert_eq!(around(scene.look().await), (9, 9));
    }
}

/// A floor taken between the reading of the last number and the listing of the locks is above that number.
#[tokio::test]
async fn a_floor_above_the_last_number_does_not_lower_the_mark() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(&scene.session().await, &add(5)).await;
    run(&open, &add(1)).await;
    // What an observer that read the last number before those appends would make of the lock.
    let sql = "select least(0, 0 - (((0 - l.objid::bigint) << 32) >> 32)) from pg_locks l where l.locktype = 'advisory' \
               and l.classid::int8 = (select lock_class from ermine.store)";
    let floor: i64 = scene.session().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(floor, 0);
}

#[tokio::test]
async fn no_session_command_lets_go_of_a_floor() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(&open, &add(1)).await;
    run(
        &open,
        "select pg_advisory_unlock_all(); select pg_advisory_unlock_shared((select lock_class from ermine.store), 0)",
    )
    .await;
    assert_eq!(scene.look().await, (1, 0));
    run(&open, &format!("reset all; discard plans; {}", add(1))).await;
    assert_eq!(scene.look().await, (2, 0));
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (2, 2));
}

/// The markers are only believed when they name the running transaction.
#[tokio::test]
async fn a_session_cannot_set_its_floor_away() {
    let scene = Scene::new().await;
    let class: i32 =
        scene.session().await.query_one("select lock_class from ermine.store", &[]).await.unwrap().get(0);
    run(&scene.session().await, &add(5)).await;
    for (floor, xact) in [("1", ""), ("5", "7"), ("1005", "1"), ("-4294967290", ""), ("abc", "abc")] {
        let session = scene.session().await;
        run(
            &session,
            &format!("set ermine.floor_{class} = '{floor}'; set ermine.floortx_{class} = '{xact}'"),
        )
        .await;
        let before = scene.look().await.0;
        run(&session, &format!("begin; {}", add(1))).await;
        assert_eq!(scene.look().await, (before + 1, before), "floor {floor:?}, transaction {xact:?}");
        run(&session, "commit").await;
        assert_eq!(scene.look().await, (before + 1, before + 1));
    }
}

#[tokio::test]
async fn markers_left_from_an_earlier_transaction_are_not_believed() {
    let scene = Scene::new().await;
    let class: i32 =
        scene.session().await.query_one("select lock_class from ermine.store", &[]).await.unwrap().get(0);
    let session = scene.session().await;
    run(
        &session,
        &format!(
            "begin; {}; select set_config('ermine.floor_{class}', current_setting('ermine.floor_{class}'), false), \
             set_config('ermine.floortx_{class}', current_setting('ermine.floortx_{class}'), false); commit",
            add(1)
        ),
    )
    .await;
    run(&scene.session().await, &add(3)).await;
    run(&session, &format!("begin; {}", add(1))).await;
    assert_eq!(scene.look().await, (5, 4));
}

#[tokio::test]
async fn a_sequence_set_forward_loses_nothing() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(&open, &add(1)).await;
    run(&scene.session().await, "select setval('ermine.events_seq_seq', 100)").await;
    run(&open, &add(1)).await;
    assert_eq!(scene.look().await, (101, 0));
    run(&open, "commit").await;
    assert_eq!((scene.look().await, scene.events().await), ((101, 101), vec![1, 101]));
    // Not called yet: the position cannot be told, which stalls the mark and loses nothing.
    run(&scene.session().await, "select setval('ermine.events_seq_seq', 200, false)").await;
    assert_eq!(scene.look().await, (0, 0));
    run(&scene.session().await, &add(1)).await;
    assert_eq!(scene.look().await, (200, 200));
}

#[tokio::test]
async fn two_stores_in_one_transaction_hold_a_floor_each() {
    use ermine_core::ports::SchemaAdmin;

    let scene = Scene::new().await;
    let other = ermine_postgres::Store::builder(scene.it.database.url())
        .schema("other store")
        .connect()
        .await
        .unwrap();
    other.migrate(&crate::common::registration()).await.unwrap();
    let open = scene.begun().await;
    run(&open, &add(1)).await;
    run(&open, &add(2).replace("ermine.append", "\"other store\".append")).await;
    assert_eq!(scene.look().await, (1, 0));
    let there = crate::common::last_and_mark(&crate::common::observe(&other).await);
    assert_eq!(there, (2, 0));
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (1, 1));
    assert_eq!(crate::common::last_and_mark(&crate::common::observe(&other).await), (2, 2));
}
