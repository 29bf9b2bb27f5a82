use std::pin::pin;

use ermine_testkit::eventually;
use futures_util::SinkExt;
use tokio_postgres::CopyInSink;

use super::{Scene, run};
use crate::common::DEADLINE;

#[tokio::test]
async fn copy_holds_the_mark_from_its_first_row_on() {
    let scene = Scene::new().await;
    let open = scene.begun().await;
    let sink: CopyInSink<bytes::Bytes> =
        open.copy_in("copy ermine.events (stream_id, version, id, type, data) from stdin").await.unwrap();
    let mut sink = pin!(sink);
    for n in 0..5000_u64 {
        let id = uuid::Uuid::from_u128(u128::from(n));
        sink.send(format!("s{n}\t1\t{id}\tT\t{{}}\n").into()).await.unwrap();
    }
    sink.flush().await.unwrap();
    eventually(DEADLINE, || async {
        match scene.look().await {
            (1.., 0) => Ok(()),
            other => Err(format!("{other:?} in the middle of the stream")),
        }
    })
    .await;
    sink.finish().await.unwrap();
    assert_eq!(scene.look().await, (5000, 0));
    run(&open, "commit").await;
    assert_eq!(scene.look().await, (5000, 5000));
}
