use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    Body, Error, ErrorClass, ProjectionName, Seq, ShardName, StreamId, TenantId, TypeName, Version, ViewKey,
};

/// An event that a shard has refused, kept with the reason until it is replayed or discarded.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Which shard, and which event.
    pub id: LetterId,
    /// Whose event it is.
    pub tenant: TenantId,
    /// Its stream.
    pub stream: StreamId,
    /// Its number in the stream.
    pub version: Version,
    /// Its type.
    pub type_name: TypeName,
    /// Its body, as it is stored.
    pub body: Body,
    /// What kind of failure it was; `None` when an operator has had the event skipped.
    pub class: Option<ErrorClass>,
    /// The error with its causes; without NUL characters, which stores cannot keep.
    pub error: String,
    /// How often the event was tried.
    pub attempts: u32,
    /// When it failed first.
    pub first_at: Timestamp,
    /// When it failed last.
    pub last_at: Timestamp,
    /// What has become of it.
    pub state: LetterState,
}

/// Names a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LetterId {
    /// Which shard has refused the event.
    pub shard: ShardName,
    /// The event.
    pub seq: Seq,
    /// What waits behind it; `None` when nothing does, because later events have gone on.
    pub key: Option<ParkKey>,
}

/// What waits behind a dead letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ParkKey {
    /// The later events of a stream.
    Stream {
        /// Whose stream.
        tenant: TenantId,
        /// Which stream.
        stream: StreamId,
    },
    /// The later events of a view.
    View(ViewKey),
}

/// What has become of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LetterState {
    /// It waits for somebody to decide.
    Waiting,
    /// Somebody has decided; whoever runs the shard will do it.
    Requested(LetterRequest),
    /// The event has been applied after all.
    Replayed {
        /// When.
        at: Timestamp,
    },
    /// The event will never be applied.
    Discarded {
        /// When.
        at: Timestamp,
        /// Who wanted that.
        by: SmolStr,
        /// Why.
        reason: String,
    },
}

/// What is to become of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterRequest {
    /// Apply the event again.
    Retry {
        /// Who asks.
        by: SmolStr,
    },
    /// Give the event up.
    Discard {
        /// Who asks.
        by: SmolStr,
        /// Why.
        reason: String,
    },
}

/// The states of dead letters by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterStatus {
    /// [`LetterState::Waiting`]
    Waiting,
    /// [`LetterState::Requested`], to be retried.
    Retry,
    /// [`LetterState::Requested`], to be discarded.
    Discard,
    /// [`LetterState::Replayed`]
    Replayed,
    /// [`LetterState::Discarded`]
    Discarded,
}

impl LetterStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Retry, Self::Discard, Self::Replayed, Self::Discarded];
    /// Those of letters that are not settled.
    pub const OPEN: [Self; 3] = [Self::Waiting, Self::Retry, Self::Discard];
    /// Those of letters about which somebody has decided, and nothing has been done yet.
    pub const REQUESTED: [Self; 2] = [Self::Retry, Self::Discard];

    /// The name, as it is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Retry => "retry",
            Self::Discard => "discard",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for LetterStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LetterStatus {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|status| status.as_str() == name).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            Error::configuration(format!("\"{name}\" is no status of a dead letter: there are {all}"))
        })
    }
}

impl LetterState {
    /// Its name.
    #[must_use]
    pub const fn status(&self) -> LetterStatus {
        match self {
            Self::Waiting => LetterStatus::Waiting,
            Self::Requested(LetterRequest::Retry { .. }) => LetterStatus::Retry,
            Self::Requested(LetterRequest::Discard { .. }) => LetterStatus::Discard,
            Self::Replayed { .. } => LetterStatus::Replayed,
            Self::Discarded { .. } => LetterStatus::Discarded,
        }
    }

    /// When it was settled, where it is.
    #[must_use]
    pub const fn settled_at(&self) -> Option<Timestamp> {
        match self {
            Self::Replayed { at } | Self::Discarded { at, .. } => Some(*at),
            _ => None,
        }
    }

    /// Whether the event was replayed before `moment`, so that nobody needs the letter any more.
    #[must_use]
    pub fn is_replayed_before(&self, moment: Timestamp) -> bool {
        matches!(self, Self::Replayed { at } if *at < moment)
    }

    /// Who asked for it, where somebody did.
    #[must_use]
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Requested(LetterRequest::Retry { by } | LetterRequest::Discard { by, .. })
            | Self::Discarded { by, .. } => Some(by),
            _ => None,
        }
    }

    /// Why, where a reason was given.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Requested(LetterRequest::Discard { reason, .. }) | Self::Discarded { reason, .. } => {
                Some(reason)
            }
            _ => None,
        }
    }

    /// Puts a state together again out of what is stored of it.
    #[must_use]
    pub fn from_store(
        status: LetterStatus,
        at: Option<Timestamp>,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Self {
        let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
        let by = SmolStr::new(by.unwrap_or_default());
        let reason = reason.unwrap_or_default().to_owned();
        match status {
            LetterStatus::Waiting => Self::Waiting,
            LetterStatus::Retry => Self::Requested(LetterRequest::Retry { by }),
            LetterStatus::Discard => Self::Requested(LetterRequest::Discard { by, reason }),
            LetterStatus::Replayed => Self::Replayed { at },
            LetterStatus::Discarded => Self::Discarded { at, by, reason },
        }
    }
}

impl fmt::Display for ParkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, tenant, id) = match self {
            Self::Stream { tenant, stream } => ("stream", tenant, stream.as_str()),
            Self::View(key) => ("view", &key.tenant, key.id.as_str()),
        };
        write!(f, "{what} \"{id}\"")?;
        if tenant.as_str().is_empty() { Ok(()) } else { write!(f, " of tenant \"{tenant}\"") }
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} of shard {}", self.seq, self.shard)?;
        match &self.key {
            Some(key) => write!(f, ", {key} parked"),
            None => Ok(()),
        }
    }
}

/// Which dead letters; what is `None` or empty admits all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterQuery {
    /// Those of a projection, all versions and shards of it.
    pub projection: Option<ProjectionName>,
    /// Those of a shard.
    pub shard: Option<ShardName>,
    /// Those of a tenant's events.
    pub tenant: Option<TenantId>,
    /// Those of a stream's events.
    pub stream: Option<StreamId>,
    /// Those of one event.
    pub seq: Option<Seq>,
    /// Those behind which the events of this key wait.
    pub key: Option<ParkKey>,
    /// Those with failures of a class.
    pub class: Option<ErrorClass>,
    /// Those in these states.
    pub statuses: Vec<LetterStatus>,
    /// Those that come after this one in the order of their ids, to go on from there.
    pub after: Option<LetterId>,
    /// How many at most.
    pub limit: Option<usize>,
}

impl LetterQuery {
    /// The letters of a shard that are not settled.
    #[must_use]
    pub fn open(shard: ShardName) -> Self {
        Self { shard: Some(shard), statuses: LetterStatus::OPEN.to_vec(), ..Self::default() }
    }

    /// Whether the letter is meant; what this says goes for every store. Without regard to the limit.
    #[must_use]
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        fn admits<T: PartialEq>(wanted: Option<&T>, is: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == is)
        }
        let id = &letter.id;
        admits(self.projection.as_ref(), id.shard.projection())
            && admits(self.shard.as_ref(), &id.shard)
            && admits(self.tenant.as_ref(), &letter.tenant)
            && admits(self.stream.as_ref(), &letter.stream)
            && admits(self.seq.as_ref(), &id.seq)
            && (self.key.is_none() || self.key == id.key)
            && self.class.is_none_or(|class| letter.class == Some(class))
            && (self.statuses.is_empty() || self.statuses.contains(&letter.state.status()))
            && self.after.as_ref().is_none_or(|after| id.order() > after.order())
    }
}

impl LetterId {
    /// What letters are ordered by, in every store: bytes and numbers.
    #[must_use]
    pub fn order(&self) -> (String, Seq, &'static str, &str, &str) {
        let (kind, tenant, id) = ParkKey::parts(self.key.as_ref());
        (self.shard.to_string(), self.seq, kind, tenant, id)
    }
}

impl ParkKey {
    /// A key as a kind and two texts, as it is stored; that of a letter behind which nothing waits is empty.
    #[must_use]
    pub fn parts(key: Option<&Self>) -> (&'static str, &str, &str) {
        match key {
            None => ("", "", ""),
            Some(Self::Stream { tenant, stream }) => ("stream", tenant.as_str(), stream.as_str()),
            Some(Self::View(key)) => ("view", key.tenant.as_str(), key.id.as_str()),
        }
    }

    /// A key out of its [`parts`](Self::parts).
    #[must_use]
    pub fn from_parts(kind: &str, tenant: &str, id: &str) -> Option<Self> {
        let tenant = TenantId::from_store(tenant);
        match kind {
            "stream" => Some(Self::Stream { tenant, stream: StreamId::from_store(id) }),
            "view" => Some(Self::View(ViewKey { tenant, id: crate::ViewId::from_store(id) })),
            _ => None,
        }
    }
}

/// What a batch changes about the events that its shard has refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LetterChanges {
    /// Letters as they are from now on, in place of those of the same id; of several of one id, the last.
    pub letters: Vec<DeadLetter>,
    /// Events that wait behind a letter from now on.
    pub parked: Vec<(ParkKey, Seq)>,
    /// Events that do not wait any more, also if they are among `parked`.
    pub released: Vec<(ParkKey, Seq)>,
}

impl LetterChanges {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.parked.is_empty() && self.released.is_empty()
    }
}
