use std::collections::HashMap;

use crate::{Seq, ViewKey};

/// Which views of a page are folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    All,
    /// All but these, each from an event on.
    Without(HashMap<ViewKey, Seq>),
    /// One view.
    Only(ViewKey),
}

/// What a [`Scope`] says of an event in a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It is folded.
    Yes,
    /// It waits.
    Withheld,
    /// It is none of the page's business.
    No,
}

impl Scope {
    /// Whether the event `seq` is folded into the view `key`.
    #[must_use]
    pub fn admits(&self, key: &ViewKey, seq: Seq) -> Admitted {
        match self {
            Self::All => Admitted::Yes,
            Self::Without(views) if views.get(key).is_some_and(|from| seq >= *from) => Admitted::Withheld,
            Self::Only(only) if only != key => Admitted::No,
            Self::Without(_) | Self::Only(_) => Admitted::Yes,
        }
    }
}
