use std::fmt;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Result};

/// JSON text, kept raw until somebody decodes it.
///
/// Cloning shares the bytes. A body never holds the escape `\u0000`: PostgreSQL's `jsonb` cannot keep that
/// character, and a body that could be appended but never projected would be a trap.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Bytes);

impl Body {
    /// Encodes `value` as JSON.
    ///
    /// # Errors
    ///
    /// [`Serialization`](crate::ErrorKind::Serialization) when the value has no JSON form or holds a NUL
    /// character.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        let json = serde_json::to_vec(value)
            .map_err(|e| Error::serialization("cannot encode a body as JSON").with_source(e))?;
        refuse_nul(&json)?;
        Ok(Self(json.into()))
    }

    /// Takes JSON text as it is, after checking that it is JSON.
    ///
    /// # Errors
    ///
    /// [`Serialization`](crate::ErrorKind::Serialization) when it is not JSON or holds a NUL character.
    pub fn from_json(json: impl Into<Bytes>) -> Result<Self> {
        let json = json.into();
        serde_json::from_slice::<serde::de::IgnoredAny>(&json)
            .map_err(|e| Error::serialization("this body is not JSON").with_source(e))?;
        refuse_nul(&json)?;
        Ok(Self(json))
    }

    /// Takes bytes that a store gives back; what is wrong with them comes out when they are decoded.
    #[must_use]
    pub const fn from_store(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes of the JSON text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, shared.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// How many bytes the text has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text at all, as in no JSON document.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Decodes the JSON.
    ///
    /// # Errors
    ///
    /// What `serde_json` says of it; the caller knows which event or view this is and adds that.
    pub fn decode<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.0)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0);
        match text.char_indices().nth(200) {
            Some((end, _)) => write!(f, "{}.. ({} bytes)", &text[..end], self.0.len()),
            None => f.write_str(&text),
        }
    }
}

/// JSON spells NUL `\u0000`; an even run of backslashes before the `u` makes it ordinary text.
fn refuse_nul(json: &[u8]) -> Result<()> {
    let spelled = json.windows(6).enumerate().any(|(at, six)| {
        six == b"\\u0000" && json[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0
    });
    if spelled {
        return Err(Error::serialization(
            "this body holds a NUL character (\\u0000 in JSON), which stores cannot keep: remove it",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_in_text_is_refused_and_an_escaped_backslash_is_not() {
        let refused = Body::encode("a\0b").unwrap_err().to_string();
        assert!(refused.contains("NUL"), "{refused}");
        assert!(Body::from_json(r#"{"a":"\u0000"}"#).is_err());
        assert!(Body::encode("a\\u0000b").is_ok(), "a backslash and then text");
        assert!(Body::encode("\\\0").is_err(), "a backslash and then NUL");
    }

    #[test]
    fn what_is_not_json_is_refused() {
        assert_eq!(Body::from_json("{").unwrap_err().to_string(), "this body is not JSON");
    }

    #[test]
    fn debug_output_is_bounded() {
        let body = Body::encode(&"x".repeat(1_000_000)).unwrap();
        assert!(format!("{body:?}").len() < 300);
    }
}
