use std::{collections::HashSet, sync::Arc};

use crate::{StreamType, TypeName};

/// Which events a shard is given.
///
/// A type is *unknown* when nothing registered with the store names it. Events of unknown types always come along,
/// without their bodies, because passing them is a decision that has to be counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFilter {
    wanted: Arc<[TypeName]>,
    known: Arc<[TypeName]>,
    stream_type: Option<StreamType>,
}

impl EventFilter {
    /// Admits the types in `wanted`, out of all the types that are `known`.
    #[must_use]
    pub fn new(
        wanted: impl IntoIterator<Item = TypeName>,
        known: impl IntoIterator<Item = TypeName>,
    ) -> Self {
        let wanted = sorted(wanted);
        let known = sorted(known.into_iter().chain(wanted.iter().cloned()));
        Self { wanted, known, stream_type: None }
    }

    /// The same filter for streams of one type alone: events of other streams, and of streams without a type, are not
    /// wanted, whatever their type.
    #[must_use]
    pub fn for_streams_of(mut self, stream_type: Option<StreamType>) -> Self {
        self.stream_type = stream_type;
        self
    }

    /// The type of streams it is limited to.
    #[must_use]
    pub const fn stream_type(&self) -> Option<&StreamType> {
        self.stream_type.as_ref()
    }

    /// The types whose events are wanted, sorted.
    #[must_use]
    pub fn wanted(&self) -> &[TypeName] {
        &self.wanted
    }

    /// All the types that something registered with the store names, sorted; `wanted` is part of it.
    #[must_use]
    pub fn known(&self) -> &[TypeName] {
        &self.known
    }

    /// Whether every known type is wanted, so that the store need not filter at all.
    #[must_use]
    pub fn wants_all_known(&self) -> bool {
        self.wanted == self.known
    }

    /// What to do with an event of type `name`, in a stream of the right type.
    #[must_use]
    pub fn admit(&self, name: &TypeName) -> Admission {
        if self.wanted.binary_search(name).is_ok() {
            Admission::Wanted
        } else if self.known.binary_search(name).is_ok() {
            Admission::Other
        } else {
            Admission::Unknown
        }
    }
}

/// What an [`EventFilter`] says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The shard folds it.
    Wanted,
    /// Some other projection's: pass it in silence.
    Other,
    /// Nobody's: pass it, and count it.
    Unknown,
}

fn sorted(names: impl IntoIterator<Item = TypeName>) -> Arc<[TypeName]> {
    let names: HashSet<TypeName> = names.into_iter().collect();
    let mut names: Vec<TypeName> = names.into_iter().collect();
    names.sort_unstable();
    names.into()
}
