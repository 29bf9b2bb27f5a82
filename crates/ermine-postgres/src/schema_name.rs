use std::fmt;

use ermine_core::{Error, Result};

/// The name of the schema that holds a store: 1 to 63 bytes, without quotes, backslashes, `$`, braces and control
/// characters, and not one of PostgreSQL's own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SchemaName(String);

impl SchemaName {
    /// Checks `name` and takes it.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) that quotes the name and says what is wrong with it.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        let wrong = if name.is_empty() || name.len() > 63 {
            Some(format!("has {} bytes; it must have 1 to 63", name.len()))
        } else if let Some(bad) = name.chars().find(|c| c.is_control() || "\"'\\${}".contains(*c)) {
            Some(format!("holds the character {bad:?}; use letters, digits and underscores"))
        } else if name.starts_with("pg_") || name == "information_schema" {
            Some("belongs to PostgreSQL itself; choose another".to_owned())
        } else {
            None
        };
        match wrong {
            Some(wrong) => Err(Error::configuration(format!("schema name {name:?} {wrong}"))),
            None => Ok(Self(name)),
        }
    }

    /// The name as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as SQL takes it.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }

    /// The name as an SQL text.
    pub(crate) fn literal(&self) -> String {
        format!("'{}'", self.0)
    }
}

impl Default for SchemaName {
    fn default() -> Self {
        Self("ermine".to_owned())
    }
}

impl fmt::Debug for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_end_its_quotes_is_refused_with_the_character() {
        for name in ["a\"b", "a'b", "a\\b", "a$b", "a\0b", "a{b", "a\nb"] {
            let refused = SchemaName::new(name).unwrap_err().to_string();
            assert!(refused.contains("holds the character"), "{refused}");
        }
        let refused = SchemaName::new("my\"schema").unwrap_err().to_string();
        assert_eq!(
            refused,
            "schema name \"my\\\"schema\" holds the character '\"'; use letters, digits and underscores"
        );
    }

    #[test]
    fn a_name_outside_its_length_or_of_the_system_is_refused() {
        assert!(SchemaName::new("").unwrap_err().to_string().contains("has 0 bytes"));
        assert!(SchemaName::new("x".repeat(64)).unwrap_err().to_string().contains("has 64 bytes"));
        assert!(SchemaName::new("pg_mine").is_err());
        assert!(SchemaName::new("My schema é").is_ok(), "odd but harmless in quotes");
    }
}
