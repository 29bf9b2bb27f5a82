use std::{error::Error as StdError, fmt};

use crate::{Epoch, EventId, ExpectedVersion, Seq, StreamId, TenantId, Version, ViewKey, ViewTable};

/// The result of everything that can fail in Ermine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, of what kind, and why: one type across all crates.
///
/// `Display` says in one line what was being done; the cause is the [`source`](StdError::source), and
/// [`Error::chain`] prints both.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    doing: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure it is: what a caller can branch on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A passing fault of network or server: the same call may succeed in a moment.
    Transient,
    /// A newer epoch of this shard exists: somebody else runs it now.
    Fenced {
        /// The newest epoch.
        epoch: Epoch,
    },
    /// The shard's stored progress is not where this batch starts.
    OutOfOrder {
        /// Where it is.
        at: Seq,
    },
    /// The store has lived through a crash or a fail-over since this knowledge of the log was gathered: drop all
    /// memory of it, read progress and mark again.
    Rewound,
    /// A stream is not at the version that an append expected.
    VersionConflict(Box<VersionConflict>),
    /// A view is not at the version that an append has pinned.
    ViewConflict(Box<ViewConflict>),
    /// The stream is archived and takes no more events.
    Archived {
        /// The stream.
        stream: StreamId,
    },
    /// Some events of an idempotent append are recorded already and some are not.
    PartlyKnown {
        /// The ids that are recorded.
        known: Vec<EventId>,
    },
    /// An event id is taken by another event.
    DuplicateEvent {
        /// The id, where the store names it.
        id: Option<EventId>,
    },
    /// The connection was lost before the answer came: the change may or may not have been made.
    OutcomeUnknown,
    /// A body that cannot be encoded or decoded.
    Serialization {
        /// The event it belongs to, where it is one.
        seq: Option<Seq>,
    },
    /// User code refused an event.
    Apply {
        /// The event.
        seq: Seq,
    },
    /// The type of an event is one that nothing registered knows, and the projection refuses such events.
    UnknownEvent {
        /// The event.
        seq: Seq,
    },
    /// The store refuses what a batch writes (a constraint, a value it cannot hold): nothing was changed, and the same batch will
    /// be refused again.
    Rejected,
    /// No shard, projection or view type of that name is registered.
    NotFound,
    /// An input or a setting that cannot work; the message says what would.
    Configuration,
    /// The store breaks a promise that Ermine rests on; the message says which and the remedy.
    Refused,
    /// What was waited for did not come in time.
    TimedOut,
    /// The daemon or host that was asked has stopped.
    Stopped,
    /// Anything else: a fault that needs a person.
    Fatal,
}

/// Which stream stood in the way of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionConflict {
    /// Whose stream.
    pub tenant: TenantId,
    /// Which stream.
    pub stream: StreamId,
    /// What the append expected.
    pub expected: ExpectedVersion,
    /// What the stream's version is.
    pub actual: Version,
}

/// Which view stood in the way of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewConflict {
    /// Which table.
    pub table: ViewTable,
    /// Which view.
    pub key: ViewKey,
    /// What the append has read; `None` when there was no view.
    pub expected: Option<Version>,
    /// What the view's version is; `None` when there is no view.
    pub actual: Option<Version>,
}

impl Error {
    /// An error of `kind`; `doing` says what was being done: lower case, no full stop, no cause.
    #[must_use]
    pub fn new(kind: ErrorKind, doing: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, doing: doing.into(), source: None }))
    }

    /// A passing fault.
    #[must_use]
    pub fn transient(doing: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, doing)
    }

    /// An input or setting that cannot work.
    #[must_use]
    pub fn configuration(doing: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, doing)
    }

    /// A body that cannot be encoded or decoded.
    #[must_use]
    pub fn serialization(doing: impl Into<String>) -> Self {
        Self::new(ErrorKind::Serialization { seq: None }, doing)
    }

    /// A fault that needs a person.
    #[must_use]
    pub fn fatal(doing: impl Into<String>) -> Self {
        Self::new(ErrorKind::Fatal, doing)
    }

    /// An append that found a stream at another version.
    #[must_use]
    pub fn conflict(conflict: VersionConflict) -> Self {
        let doing = format!(
            "stream \"{}\" is at version {}, and this append expected {}",
            conflict.stream, conflict.actual, conflict.expected
        );
        Self::new(ErrorKind::VersionConflict(Box::new(conflict)), doing)
    }

    /// An append that found a view at another version.
    #[must_use]
    pub fn view_conflict(conflict: ViewConflict) -> Self {
        let version =
            |version: Option<Version>| version.map_or("absent".to_owned(), |v| format!("at version {v}"));
        let again = if conflict.actual == conflict.expected { ", deleted and made again" } else { "" };
        let doing = format!(
            "view \"{}\" of {} is {}{again}, and this append has read it {}",
            conflict.key.id,
            conflict.table,
            version(conflict.actual),
            version(conflict.expected)
        );
        Self::new(ErrorKind::ViewConflict(Box::new(conflict)), doing)
    }

    /// An append to an archived stream.
    #[must_use]
    pub fn archived(stream: StreamId) -> Self {
        let doing = format!("stream \"{stream}\" is archived and takes no more events: begin another stream");
        Self::new(ErrorKind::Archived { stream }, doing)
    }

    /// A native statement that is for another kind of store.
    #[must_use]
    pub fn foreign_statement(adapter: &str, kind: &str) -> Self {
        Self::configuration(format!(
            "a statement for the store \"{adapter}\" cannot run on \"{kind}\": {}",
            "register the projection where that store is open, or leave it out here"
        ))
    }

    /// A commit whose epoch is not the newest.
    #[must_use]
    pub fn fenced(shard: &crate::ShardName, mine: Epoch, newest: Epoch) -> Self {
        Self::new(
            ErrorKind::Fenced { epoch: newest },
            format!("shard {shard} was taken over: epoch {newest} has replaced epoch {mine}"),
        )
    }

    /// A commit that does not start where stored progress is.
    #[must_use]
    pub fn out_of_order(shard: &crate::ShardName, from: Seq, at: Seq) -> Self {
        Self::new(
            ErrorKind::OutOfOrder { at },
            format!("progress of shard {shard} is {at}, and this batch starts at {from}"),
        )
    }

    /// Knowledge of the log that a crash or fail-over has made worthless.
    #[must_use]
    pub fn rewound() -> Self {
        Self::new(
            ErrorKind::Rewound,
            "the store has restarted from a crash: what was known of its log is void, read progress again",
        )
    }

    /// The same error with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error, of another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// The same error seen from further out: `doing` becomes the message, this error the cause.
    #[must_use]
    pub fn context(self, doing: impl Into<String>) -> Self {
        let kind = self.0.kind.clone();
        Self(Box::new(Inner { kind, doing: doing.into(), source: Some(Box::new(self)) }))
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Whether the same call may succeed in a moment.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Transient | ErrorKind::OutcomeUnknown)
    }

    /// What kind of failure it is, as far as it matters for what to do next.
    #[must_use]
    pub fn class(&self) -> crate::ErrorClass {
        crate::ErrorClass::of(self)
    }

    /// The versions in conflict, where this is one.
    #[must_use]
    pub fn as_conflict(&self) -> Option<&VersionConflict> {
        match &self.0.kind {
            ErrorKind::VersionConflict(conflict) => Some(conflict),
            _ => None,
        }
    }

    /// Message and causes, outermost first, joined by `: `.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let said = cause.to_string();
            // Some errors repeat their cause in their own message.
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            source = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.doing)
    }
}

/// The whole chain, because this is what `main` prints when it returns the error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.chain(), self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// Why user code refuses an event: any error, or a message.
///
/// `?` turns every error into one. Like other errors of this shape it is not itself an
/// [`Error`](StdError), which is what makes that conversion possible.
pub struct ApplyError {
    error: Box<dyn StdError + Send + Sync>,
    type_name: &'static str,
}

impl ApplyError {
    /// A refusal in words.
    #[must_use]
    pub fn msg(message: impl Into<String>) -> Self {
        Self { error: message.into().into(), type_name: "message" }
    }

    /// The error itself.
    #[must_use]
    pub fn into_inner(self) -> Box<dyn StdError + Send + Sync> {
        self.error
    }

    /// The Rust type of the error, for policies that go by it.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        self.type_name
    }
}

impl fmt::Debug for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.error, self.type_name)
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for ApplyError {
    fn from(error: E) -> Self {
        Self { error: Box::new(error), type_name: std::any::type_name::<E>() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_names_every_cause_once() {
        let inner = std::io::Error::other("disk on fire");
        let error =
            Error::transient("loading a page of Trip:All").with_source(inner).context("running Trip:All");
        assert_eq!(error.to_string(), "running Trip:All");
        assert_eq!(error.chain(), "running Trip:All: loading a page of Trip:All: disk on fire");
        assert!(error.is_transient());
    }

    #[test]
    fn a_conflict_names_the_stream_and_both_versions() {
        let error = Error::conflict(VersionConflict {
            tenant: TenantId::default(),
            stream: StreamId::new("trip-1").unwrap(),
            expected: ExpectedVersion::Exact(Version::new(3)),
            actual: Version::new(5),
        });
        assert_eq!(
            error.to_string(),
            "stream \"trip-1\" is at version 5, and this append expected version 3"
        );
        assert_eq!(error.as_conflict().unwrap().actual, Version::new(5));
    }
}
