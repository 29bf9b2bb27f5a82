//! Writers that go on through every crash.

use std::{sync::Arc, time::Duration};

use ermine::{
    Ermine,
    core::{AppendBatch, NewEvent, StreamAppend, StreamId},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::trail::NoteEvent;

const WRITERS: u64 = 3;
const STREAMS: u64 = 5;

/// Tasks that append until they are told to stop.
pub(super) struct Writers {
    stop: CancellationToken,
    tasks: JoinSet<Vec<Uuid>>,
}

impl Writers {
    pub(super) fn start(host: &Arc<Ermine>) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        for nth in 0..WRITERS {
            tasks.spawn(write(host.clone(), nth, stop.clone()));
        }
        Self { stop, tasks }
    }

    /// The ids of the events that were acknowledged. Every append has been answered by then.
    pub(super) async fn stop(self) -> Vec<Uuid> {
        self.stop.cancel();
        self.tasks.join_all().await.concat()
    }
}

async fn write(host: Arc<Ermine>, nth: u64, stop: CancellationToken) -> Vec<Uuid> {
    let mut acknowledged = Vec::new();
    for turn in 0.. {
        if stop.is_cancelled() {
            break;
        }
        let events: Vec<NewEvent> = (0..1 + turn % 4)
            .map(|n| NewEvent::of(&NoteEvent::new(turn + n)).expect("a note can be encoded"))
            .collect();
        let ids: Vec<Uuid> = events.iter().map(|event| *event.id().as_uuid()).collect();
        let stream = StreamId::new(format!("stream-{}", (nth + turn) % STREAMS)).expect("a stream's name");
        match host.append_batch(AppendBatch::new().stream(StreamAppend::new(stream, events))).await {
            Ok(_) => acknowledged.extend(ids),
            // The server is away; whether this append was made is what nobody knows.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    acknowledged
}
