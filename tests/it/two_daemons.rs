//! Two Solo daemons on one store by mistake.

use std::time::Duration;

use ermine::{
    Ermine,
    daemon::{Settings, ShardState},
    prelude::DaemonMode,
};
use ermine_testkit::{eventually, pg::TestDatabase};
use ermine_tests::trail;

use crate::host::{DEADLINE, assert_views, note};

async fn start(url: &str) -> Ermine {
    let mut settings = Settings::default();
    settings.fenced_retry = Duration::from_millis(200);
    let builder = trail::project(Ermine::open(url), "").daemon(DaemonMode::Solo).settings(settings);
    builder.start().await.unwrap()
}

fn is_running(host: &Ermine) -> bool {
    host.status().iter().all(|s| s.state == ShardState::Running)
}

#[tokio::test]
async fn of_two_solo_daemons_one_is_fenced_and_says_so_and_views_stay_right() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let first = start(&database.url()).await;
    first.wait_for(note(&client, "before").await).await.unwrap();
    let second = start(&database.url()).await;
    eventually(DEADLINE, || async { is_running(&second) }).await;

    // While events keep coming, the first one sees the second at work and in the end leaves the shards to it.
    eventually(DEADLINE, || async {
        second.wait_for(note(&client, "during").await).await.unwrap();
        let said: Vec<String> = first.status().iter().map(ToString::to_string).collect();
        let gave_up = said.iter().all(|it| it.contains("stopped: another process runs this shard"));
        if gave_up { Ok(()) } else { Err(format!("the first daemon says {said:?}")) }
    })
    .await;
    assert!(is_running(&second), "{:?}", second.status());
    assert_views(&client, &second).await;

    // Whoever waits on the daemon that gave up is told so.
    let refused = first.wait_for(note(&client, "after").await).await.unwrap_err().to_string();
    assert!(refused.contains("will not be reached"), "{refused}");
    assert!(refused.contains("another process runs this shard"), "{refused}");
    first.stop().await.unwrap();
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_fenced_daemon_goes_on_once_the_other_one_has_ended() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let first = start(&database.url()).await;
    first.wait_for(note(&client, "before").await).await.unwrap();
    let second = start(&database.url()).await;
    second.wait_for(note(&client, "during").await).await.unwrap();
    eventually(DEADLINE, || async {
        note(&client, "during").await;
        let said: Vec<String> = first.status().iter().map(ToString::to_string).collect();
        let fenced = said.iter().all(|it| it.contains("taken over by another process"));
        if fenced { Ok(()) } else { Err(format!("the first daemon says {said:?}")) }
    })
    .await;
    second.stop().await.unwrap();

    first.wait_for(note(&client, "after").await).await.unwrap();
    assert_views(&client, &first).await;
    first.stop().await.unwrap();
}
