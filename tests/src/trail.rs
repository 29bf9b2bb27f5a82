//! Projections that remember exactly what was applied to them, in which order, and the comparison with the log.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
};

use ermine::{
    Ermine, ErmineBuilder,
    core::{Aggregate, ApplyError, DomainEvent, Recorded, multi_stream, single_stream},
};
use ermine_testkit::pg::OwnedClient;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The name of [`NoteEvent`]'s type, for writers who speak SQL.
pub const NOTE: &str = "note.noted";
/// A type that nobody registers: passed and counted.
pub const FOREIGN: &str = "foreign.said";
/// How many buckets the events of all streams are spread over.
pub const BUCKETS: u64 = 8;
/// The view that gathers every event.
pub const EVERYTHING: &str = "everything";

/// The only event that projections here know.
#[derive(Clone, Debug, DomainEvent, Serialize, Deserialize)]
pub enum NoteEvent {
    /// Somebody noted something.
    Noted {
        /// Chooses the bucket.
        bucket: u64,
    },
}

impl NoteEvent {
    /// A note for a bucket.
    pub fn new(bucket: u64) -> Self {
        Self::Noted { bucket: bucket % BUCKETS }
    }

    /// The JSON of its body.
    pub fn json(bucket: u64) -> String {
        format!("{{\"bucket\":{}}}", bucket % BUCKETS)
    }

    pub(crate) fn bucket(&self) -> u64 {
        let Self::Noted { bucket } = self;
        *bucket
    }
}

/// What was applied to one view: two trails are equal only if the same events were applied in the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// How many.
    pub events: u64,
    /// All their numbers added up: one event too few or too many shows its own number.
    pub sum: u64,
    /// How many came with a number not above the one before.
    pub out_of_order: u64,
    /// Every number and version so far, folded into one.
    pub chain: u64,
    /// The newest numbers.
    pub tail: VecDeque<u64>,
}

impl Trail {
    const TAIL: usize = 8;

    /// The trail after one more event.
    #[must_use]
    pub fn then(mut self, seq: u64, version: u64) -> Self {
        self.out_of_order += u64::from(self.tail.back().is_some_and(|last| *last >= seq));
        self.events += 1;
        self.sum = self.sum.wrapping_add(seq);
        for number in [seq, version] {
            self.chain = (self.chain.rotate_left(5) ^ number).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        self.tail.push_back(seq);
        if self.tail.len() > Self::TAIL {
            self.tail.pop_front();
        }
        self
    }

    /// The trail after an event that has a number, as all have that reach an async projection.
    pub(crate) fn with<E>(trail: Option<Self>, event: &Recorded<E>) -> Self {
        let seq = event.seq().expect("an async projection sees numbered events").get();
        trail.unwrap_or_default().then(seq, event.version().get())
    }
}

/// What was applied to one stream's view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamTrail(pub Trail);

impl Aggregate for StreamTrail {
    type Event = NoteEvent;

    fn evolve(trail: Option<Self>, event: &Recorded<NoteEvent>) -> Result<Option<Self>, ApplyError> {
        Ok(Some(Self(Trail::with(trail.map(|it| it.0), event))))
    }
}

/// What was applied to one bucket's view, from all streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketTrail(pub Trail);

impl Aggregate for BucketTrail {
    type Event = NoteEvent;

    fn evolve(trail: Option<Self>, event: &Recorded<NoteEvent>) -> Result<Option<Self>, ApplyError> {
        Ok(Some(Self(Trail::with(trail.map(|it| it.0), event))))
    }
}

/// Registers both projections; `prefix` tells theirs from those of another host on the same store.
pub fn project(builder: ErmineBuilder, prefix: &str) -> ErmineBuilder {
    builder.project(single_stream::<StreamTrail>(format!("{prefix}Streams"))).project(multi_stream::<
        BucketTrail,
        _,
        _,
    >(
        format!("{prefix}Buckets"),
        |event| [bucket_id(event.data().bucket()), EVERYTHING.to_owned()],
    ))
}

pub(crate) fn bucket_id(bucket: u64) -> String {
    format!("bucket-{bucket}")
}

/// The committed log as far as projections here know it, and the views that a plain fold makes of it.
#[derive(Debug, Default)]
pub struct Log {
    /// The numbers of all known events.
    pub seqs: BTreeSet<u64>,
    /// The numbers of all events.
    pub numbers: BTreeSet<u64>,
    /// The ids of all events.
    pub ids: BTreeSet<uuid::Uuid>,
    /// Events of types that nobody knows.
    pub foreign: u64,
    /// The highest number of all.
    pub highest: u64,
    pub(crate) streams: BTreeMap<String, Trail>,
    pub(crate) buckets: BTreeMap<String, Trail>,
}

impl Log {
    /// Reads all of it.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub async fn read(client: &OwnedClient) -> Self {
        let rows = client
            .query(
                "select seq, version, stream_id, type, (data->>'bucket')::bigint, id from ermine.events order by seq",
                &[],
            )
            .await
            .expect("the log can be read");
        let mut log = Self::default();
        for row in &rows {
            let (seq, version) = (number(row.get(0)), number(row.get(1)));
            log.highest = seq;
            log.numbers.insert(seq);
            log.ids.insert(row.get(5));
            if row.get::<_, &str>(3) != NOTE {
                log.foreign += 1;
                continue;
            }
            log.seqs.insert(seq);
            extend(&mut log.streams, row.get(2), seq, version);
            let bucket = number(row.get(4));
            extend(&mut log.buckets, bucket_id(bucket), seq, version);
            extend(&mut log.buckets, EVERYTHING.to_owned(), seq, version);
        }
        log
    }

    /// What is wrong with the views of `host`, whose projections were registered by [`project`]; empty when nothing is.
    ///
    /// # Panics
    ///
    /// When the views cannot be read.
    pub async fn compare(&self, host: &Ermine) -> Vec<String> {
        let streams: BTreeMap<String, Trail> =
            views::<StreamTrail>(host).await.into_iter().map(|(id, view)| (id, view.0)).collect();
        let buckets: BTreeMap<String, Trail> =
            views::<BucketTrail>(host).await.into_iter().map(|(id, view)| (id, view.0)).collect();
        let mut wrong = differences("stream", &self.streams, &streams);
        wrong.extend(differences("bucket", &self.buckets, &buckets));
        wrong
    }
}

fn number(stored: i64) -> u64 {
    u64::try_from(stored).expect("numbers in the log are positive")
}

fn extend(trails: &mut BTreeMap<String, Trail>, id: String, seq: u64, version: u64) {
    let trail = trails.entry(id).or_default();
    *trail = std::mem::take(trail).then(seq, version);
}

pub(crate) async fn views<A: Aggregate + DeserializeOwned>(host: &Ermine) -> Vec<(String, A)> {
    let query = host.query::<A>().unwrap_or_else(|err| panic!("views: {err:?}"));
    let all = query.all().await.unwrap_or_else(|err| panic!("views: {err:?}"));
    all.into_iter().map(|(id, view)| (id.to_string(), view)).collect()
}

pub(crate) fn differences(
    what: &str,
    wanted: &BTreeMap<String, Trail>,
    stored: &BTreeMap<String, Trail>,
) -> Vec<String> {
    const SHOWN: usize = 5;
    let ids: BTreeSet<&String> = wanted.keys().chain(stored.keys()).collect();
    let different: Vec<_> = ids.into_iter().filter(|id| wanted.get(*id) != stored.get(*id)).collect();
    let mut said: Vec<String> = different
        .iter()
        .take(SHOWN)
        .map(|id| {
            let (wanted, stored) = (wanted.get(*id), stored.get(*id));
            let mut text = format!("{what} {id}: ");
            let _ = match (wanted, stored) {
                (Some(w), Some(s)) => write!(
                    text,
                    "{} events in the log, {} in the view, sums {} and {}, {} out of order, last {:?} and {:?}",
                    w.events, s.events, w.sum, s.sum, s.out_of_order, w.tail, s.tail
                ),
                (Some(w), None) => write!(text, "{} events in the log and no view", w.events),
                (None, _) => write!(text, "a view of events that are not in the log"),
            };
            text
        })
        .collect();
    if different.len() > SHOWN {
        said.push(format!("{} more views of kind {what} are wrong", different.len() - SHOWN));
    }
    said
}
