use ermine_testkit::eventually;

use super::{Scene, add, run};
use crate::common::DEADLINE;

#[tokio::test]
async fn an_open_append_holds_the_mark_until_it_ends() {
    let scene = Scene::new().await;
    for end in ["commit", "rollback"] {
        let before = scene.look().await.0;
        let open = scene.begun().await;
        run(&open, &add(3)).await;
        run(&scene.session().await, &add(1)).await;
        assert_eq!(scene.look().await, (before + 4, before));
        run(&open, end).await;
        assert_eq!(scene.look().await, (before + 4, before + 4));
    }
}

#[tokio::test]
async fn a_savepoint_rolled_back_releases_its_floor() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(&open, &format!("savepoint a; {}", add(3))).await;
    assert_eq!(scene.look().await, (3, 0));
    run(&open, "rollback to a").await;
    assert_eq!(scene.look().await, (3, 3));
    run(&open, &add(2)).await;
    assert_eq!(scene.look().await, (5, 3), "the marker was rolled back as well, so a new floor is taken");
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (5, 5));
    assert_eq!(scene.events().await, [4, 5]);
}

#[tokio::test]
async fn an_outer_floor_survives_inner_savepoints() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(&open, &format!("{}; savepoint a; {}", add(1), add(3))).await;
    assert_eq!((scene.look().await, scene.locks().await), ((4, 0), 1));
    run(&open, "rollback to a").await;
    assert_eq!((scene.look().await, scene.locks().await), ((4, 0), 1));
    run(&open, &format!("savepoint b; {}; release b", add(1))).await;
    assert_eq!((scene.look().await, scene.locks().await), ((5, 0), 1));
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (5, 5));
}

#[tokio::test]
async fn an_exception_block_is_a_savepoint() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    let (four, one) = (add(4).replacen("select", "perform", 1), add(1).replacen("select", "perform", 1));
    run(
        &open,
        &format!("do $$ begin begin {four}; raise 'no'; exception when others then null; end; end $$"),
    )
    .await;
    assert_eq!(scene.look().await, (4, 4));
    run(
        &open,
        &format!("do $$ begin begin {four}; raise 'no'; exception when others then {one}; end; end $$"),
    )
    .await;
    assert_eq!(scene.look().await, (9, 8), "an append in the handler takes a floor of its own");
    run(&open, "commit").await;
    assert_eq!((scene.look().await, scene.events().await), ((9, 9), vec![9]));
}

#[tokio::test]
async fn many_appends_in_one_transaction_hold_one_floor() {
    let scene = Scene::new().await;
    let (open, other) = (scene.begun().await, scene.session().await);
    for _ in 0..5 {
        run(&open, &add(2)).await;
        run(&other, &add(1)).await;
    }
    assert_eq!((scene.look().await, scene.locks().await), ((15, 0), 1));
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (15, 15));
}

#[tokio::test]
async fn a_thousand_appends_hold_one_lock_and_rolled_back_ones_none() {
    let scene = Scene::new().await;
    let one = add(1).replacen("select", "perform", 1);
    let open = scene.begun().await;
    run(&open, &format!("do $$ begin for i in 1..1000 loop {one}; end loop; end $$")).await;
    let nested = format!("begin {one}; exception when others then null; end");
    run(&open, &format!("do $$ begin for i in 1..1000 loop {nested}; end loop; end $$")).await;
    assert_eq!(scene.locks().await, 1);
    run(&open, "rollback; begin").await;
    let undone = format!("begin {one}; raise 'no'; exception when others then null; end");
    run(&open, &format!("do $$ begin for i in 1..1000 loop {undone}; end loop; end $$")).await;
    assert_eq!((scene.look().await, scene.locks().await), ((3000, 3000), 0));
}

#[tokio::test]
async fn an_append_through_a_cursor_holds_after_the_cursor_is_closed() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(&open, &format!("declare c cursor for {} from generate_series(1, 5); fetch 2 from c", add(1))).await;
    assert_eq!(scene.look().await, (2, 0));
    run(&open, "close c").await;
    assert_eq!((scene.look().await, scene.locks().await), ((2, 0), 1));
    run(&open, "commit; begin").await;
    assert_eq!(scene.look().await, (2, 2));
    run(&open, &format!("declare h cursor with hold for {} from generate_series(1, 3); commit", add(1)))
        .await;
    assert_eq!(scene.look().await, (5, 5), "a holdable cursor is run to its end by the commit");
    run(&open, "fetch all from h").await;
    assert_eq!((scene.look().await, scene.events().await), ((5, 5), vec![1, 2, 3, 4, 5]));
}

#[tokio::test]
async fn a_client_that_goes_away_lets_the_mark_pass() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    run(&open, &format!("{}; declare c cursor for select * from pg_class; fetch 1 from c", add(1))).await;
    assert_eq!(scene.look().await, (1, 0));
    drop(open);
    eventually(DEADLINE, || async { scene.look().await == (1, 1) }).await;
}
