//! This test binary, started again as a process of its own on the same file.

use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    process::{self, Stdio},
    time::Duration,
};

use ermine_core::{
    Body, EventFilter, EventRange, LetterQuery, LetterRequest, Operation, PageRequest, Seq, ShardBatch,
    StoredView, StreamId, TypeName, Uuid, ViewId, ViewKey,
    ports::{DeadLetterStore, EventAppender, EventReader, HighWaterSource, ProgressStore, ViewStore},
};
use ermine_sqlite::{SqliteOptions, Store, Synchronous};
use ermine_testkit::eventually;

use crate::common::{LEAVE, Place, batch, behind, letter, shard, table};

const FILE: &str = "ERMINE_SQLITE_CHILD_FILE";
const DUTY: &str = "ERMINE_SQLITE_CHILD_DUTY";

/// What a child does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duty {
    /// It appends so often, two events each time, and ends.
    Append { times: u64 },
    /// It asks that every letter is tried again, and ends.
    Ask,
    /// It appends, counts the events of every stream in a view and refuses some of them, until it is killed.
    Work { synchronous: Synchronous },
}

/// A process, killed when dropped.
pub(crate) struct Child {
    process: process::Child,
}

impl Child {
    pub(crate) fn start(place: &Place, duty: Duty) -> Self {
        let duty = match duty {
            Duty::Append { times } => format!("append {times}"),
            Duty::Ask => "ask again".into(),
            Duty::Work { synchronous: Synchronous::Full } => "work full".into(),
            Duty::Work { .. } => "work normal".into(),
        };
        let mut command = process::Command::new(env::current_exe().unwrap());
        command.args(["--exact", "child::process", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::null());
        command.env(FILE, place.file()).env(DUTY, duty);
        Self { process: command.spawn().unwrap() }
    }

    /// kill -9, and certainty that it has ended.
    pub(crate) fn kill(mut self) {
        self.kill_now();
    }

    fn kill_now(&mut self) {
        // It fails only when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits until it has done its duty.
    pub(crate) async fn wait(mut self, deadline: Duration) {
        let status = eventually(deadline, || {
            let ended = self.process.try_wait().unwrap();
            async move { ended.ok_or("the child has not ended") }
        });
        let status = status.await;
        assert!(status.success(), "the child ended with {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill_now();
    }
}

/// Not a test: what others start as another process. By itself it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process() {
    let (Ok(file), Ok(duty)) = (env::var(FILE), env::var(DUTY)) else { return };
    let synchronous = if duty == "work full" { Synchronous::Full } else { Synchronous::Normal };
    let store = SqliteOptions::new(&file).synchronous(synchronous).open().await.unwrap();
    match duty.split_once(' ').unwrap() {
        ("append", times) => {
            for _ in 0..times.parse::<u64>().unwrap() {
                store.append(batch("shared", 2)).await.unwrap();
            }
        }
        ("ask", _) => {
            let request = LetterRequest::Retry { by: "ada".into() };
            store.request(LetterQuery::default(), request).await.unwrap();
        }
        _ => tokio::join!(write(&store, "one"), write(&store, "two"), project(&store)).0,
    }
}

/// Where a child writes down which events were acknowledged.
pub(crate) fn acknowledged(place: &Place) -> Vec<Uuid> {
    let notes = fs::read_to_string(notes(&place.file())).unwrap_or_default();
    // The last line may be cut off.
    let whole = notes.rfind('\n').map_or("", |end| &notes[..end]);
    whole.lines().map(|line| line.parse().unwrap()).collect()
}

fn notes(file: &std::path::Path) -> PathBuf {
    file.with_extension("acknowledged")
}

async fn write(store: &Store, name: &str) {
    let mut notes = OpenOptions::new().create(true).append(true).open(notes(store.path())).unwrap();
    for turn in 0.. {
        let batch = batch(&format!("{name}-{}", turn % 5), 1 + turn % 4);
        let ids: Vec<String> =
            batch.streams()[0].events.iter().map(|new| format!("{}\n", new.id())).collect();
        store.append(batch).await.unwrap();
        notes.write_all(ids.concat().as_bytes()).unwrap();
    }
}

/// Which events have a letter, and are parked.
pub(crate) fn is_refused(seq: Seq) -> bool {
    seq.get().is_multiple_of(3)
}

/// Counts the events of every stream, and writes letters about some.
async fn project(store: &Store) {
    let mut taken = store.take_shards(&[shard()]).await.unwrap().remove(0);
    loop {
        let seen = store.observe(LEAVE).await.unwrap();
        let Some(range) = EventRange::new(taken.seq, seen.highest_visible) else {
            tokio::task::yield_now().await;
            continue;
        };
        let request = PageRequest {
            range,
            filter: EventFilter::new([TypeName::new("Travelled").unwrap()], []),
            events_max: 7.try_into().unwrap(),
            bytes_max: usize::MAX,
            incarnation: seen.incarnation,
        };
        let page = store.load_page(request).await.unwrap();
        let to = page.range.ceiling();
        let mut batch = ShardBatch::new(shard(), taken.epoch, seen.incarnation, taken.seq, to);
        for event in page.events {
            batch.operations.push(counted(&event.stream, event.version, event.seq));
            if is_refused(event.seq) {
                batch.letters.letters.push(letter(event.seq));
                batch.letters.parked.push((behind(), event.seq));
            }
        }
        store.commit(batch).await.unwrap();
        taken.seq = to;
    }
}

fn counted(stream: &StreamId, version: ermine_core::Version, seq: Seq) -> Operation {
    let key = ViewKey::new(ViewId::from(stream.clone()));
    let body = Body::encode(&version.get()).unwrap();
    Operation::Store { table: table(), key, view: StoredView { body, version, seq } }
}
