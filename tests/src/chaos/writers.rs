//! Writers that go on through everything.

use std::{sync::Arc, time::Duration};

use ermine::{
    Ermine,
    core::{AppendBatch, NewEvent, Seq, StreamAppend, StreamId},
};
use ermine_testkit::pg::OwnedClient;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::projections::POISON;
use crate::trail::{NOTE, NoteEvent};

const STREAMS: u64 = 12;
/// Writers beside the network, and writers through it.
const EACH: u64 = 2;
/// An append that takes longer than this is given up; whether it was made is what nobody knows.
const PATIENCE: Duration = Duration::from_secs(3);
const BETWEEN: Duration = Duration::from_millis(8);
const BETWEEN_POISON: Duration = Duration::from_millis(1_500);

/// Tasks that append until they are told to stop.
pub(super) struct Writers {
    stop: CancellationToken,
    tasks: JoinSet<Vec<u64>>,
}

impl Writers {
    /// `direct` leads to the server beside the proxy; `host` goes through it.
    pub(super) fn start(direct: &str, host: &Arc<Ermine>) -> Self {
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        for nth in 0..EACH {
            let (url, every) = (direct.to_owned(), BETWEEN);
            tasks.spawn(until(stop.clone(), async move |written: &mut Vec<u64>| {
                beside(&url, nth, NOTE, every, written).await;
            }));
            let host = host.clone();
            tasks.spawn(until(stop.clone(), async move |written: &mut Vec<u64>| {
                through(&host, EACH + nth, written).await;
            }));
        }
        let url = direct.to_owned();
        tasks.spawn(until(stop.clone(), async move |written: &mut Vec<u64>| {
            beside(&url, 0, POISON, BETWEEN_POISON, written).await;
        }));
        Self { stop, tasks }
    }

    /// The numbers of all acknowledged events.
    pub(super) async fn stop(self) -> Vec<u64> {
        self.stop.cancel();
        self.tasks.join_all().await.concat()
    }
}

/// Whatever a writer is doing when it is told to stop is given up.
async fn until(stop: CancellationToken, write: impl AsyncFn(&mut Vec<u64>)) -> Vec<u64> {
    let mut written = Vec::new();
    tokio::select! {
        () = stop.cancelled() => {}
        () = write(&mut written) => {}
    }
    written
}

async fn beside(url: &str, nth: u64, type_name: &str, every: Duration, written: &mut Vec<u64>) {
    let sql = "select ermine.append($1, null, array[$2], array[$3::text::json])";
    let mut client: Option<OwnedClient> = None;
    for turn in 0.. {
        sleep(every).await;
        if client.as_ref().is_none_or(|client| client.is_closed()) {
            client = OwnedClient::connect(url).await.ok();
        }
        let Some(open) = &client else { continue };
        let (stream, body) = (stream(nth + turn), NoteEvent::json(turn));
        match timeout(PATIENCE, open.query_one(sql, &[&stream, &type_name, &body])).await {
            Ok(Ok(row)) => written.push(Seq::from_i64(row.get(0)).get()),
            Ok(Err(_)) => {}
            Err(_) => client = None,
        }
    }
}

async fn through(host: &Ermine, nth: u64, written: &mut Vec<u64>) {
    for turn in 0.. {
        sleep(BETWEEN).await;
        let events: Vec<NewEvent> = (0..1 + turn % 3)
            .map(|n| NewEvent::of(&NoteEvent::new(turn + n)).expect("a note can be encoded"))
            .collect();
        let stream = StreamId::new(stream(nth + turn)).expect("a stream's name");
        let batch = AppendBatch::new().stream(StreamAppend::new(stream, events));
        if let Ok(Ok(appended)) = timeout(PATIENCE, host.append_batch(batch)).await {
            written.push(appended.position().seq().get());
        }
    }
}

fn stream(nth: u64) -> String {
    format!("stream-{}", nth % STREAMS)
}
