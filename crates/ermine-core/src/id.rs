use std::{borrow::Borrow, fmt, ops::Deref, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::{Error, Result};

/// Text that names something in a store: within a length in bytes, and free of NUL.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "SmolStr", into = "SmolStr")]
        pub struct $name(SmolStr);

        impl $name {
            /// The fewest and the most bytes of UTF-8 that it may have.
            pub const BYTES: std::ops::RangeInclusive<usize> = $min..=$max;

            /// Checks `text` and takes it.
            ///
            /// # Errors
            ///
            /// [`Configuration`](crate::ErrorKind::Configuration) when the length is outside [`Self::BYTES`]
            /// or the text holds a NUL character, which PostgreSQL cannot store.
            pub fn new(text: impl Into<SmolStr>) -> Result<Self> {
                let text = text.into();
                check_text($what, &text, Self::BYTES)?;
                Ok(Self(text))
            }

            /// Takes text that a store gives back, which was checked when it went in.
            #[must_use]
            pub fn from_store(text: &str) -> Self {
                Self(SmolStr::new(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = Error;

            fn try_from(text: &String) -> Result<Self> {
                Self::new(text.as_str())
            }
        }

        impl TryFrom<SmolStr> for $name {
            type Error = Error;

            fn try_from(text: SmolStr) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for SmolStr {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

text_id!(
    /// Names a stream within its tenant: 1 to 500 bytes of UTF-8 without NUL.
    StreamId, "stream id", 1, 500
);
text_id!(
    /// Names a view within its projection and tenant: 1 to 500 bytes of UTF-8 without NUL.
    ViewId, "view id", 1, 500
);
text_id!(
    /// Names what kind of fact an event records: 1 to 200 bytes of UTF-8 without NUL.
    TypeName, "event type name", 1, 200
);
text_id!(
    /// Names what kind of stream it is: 1 to 200 bytes of UTF-8 without NUL.
    StreamType, "stream type", 1, 200
);
text_id!(
    #[derive(Default)]
    /// Names a tenant: up to 200 bytes of UTF-8 without NUL; the empty name is the default tenant.
    TenantId,
    "tenant id",
    0,
    200
);

impl From<StreamId> for ViewId {
    fn from(id: StreamId) -> Self {
        Self(id.0)
    }
}

fn check_text(what: &str, text: &str, bytes: std::ops::RangeInclusive<usize>) -> Result<()> {
    if !bytes.contains(&text.len()) {
        let shown: String = text.chars().take(40).collect();
        let dots = if shown.len() < text.len() { ".." } else { "" };
        return Err(Error::configuration(format!(
            "{what} \"{shown}{dots}\" has {} bytes; it must have {} to {}",
            text.len(),
            bytes.start(),
            bytes.end()
        )));
    }
    if text.contains('\0') {
        return Err(Error::configuration(format!(
            "{what} {text:?} holds a NUL character, which stores cannot keep: remove it"
        )));
    }
    Ok(())
}

/// Names one event for ever: the key that makes an append idempotent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

impl EventId {
    /// A fresh id (UUID version 7: ordered by time of creation, so that the index over ids stays warm).
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// An id that is the same whenever `name` is: for events that are derived from something else.
    #[must_use]
    pub fn derived(name: &str) -> Self {
        Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_outside_their_length_are_refused_with_the_length() {
        let empty = StreamId::new("").unwrap_err().to_string();
        assert_eq!(empty, "stream id \"\" has 0 bytes; it must have 1 to 500");
        let long = StreamId::new("x".repeat(501)).unwrap_err().to_string();
        assert!(long.contains("has 501 bytes; it must have 1 to 500"), "{long}");
        assert!(StreamId::new("x".repeat(500)).is_ok());
        assert!(TenantId::new("").is_ok());
    }

    #[test]
    fn nul_in_an_id_is_refused() {
        let refused = ViewId::new("a\0b").unwrap_err().to_string();
        assert_eq!(refused, "view id \"a\\0b\" holds a NUL character, which stores cannot keep: remove it");
    }

    #[test]
    fn a_derived_event_id_depends_on_its_name_alone() {
        assert_eq!(EventId::derived("a"), EventId::derived("a"));
        assert_ne!(EventId::derived("a"), EventId::derived("b"));
    }
}
