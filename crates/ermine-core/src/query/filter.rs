use std::cmp::Ordering;

use super::{Field, compare};
use crate::Value;

/// Says which views are meant. It is true or false of every view, never unknown.
///
/// A comparison with a value is true only of a field of the same kind: boolean, number or text. Numbers are compared by
/// value, text bytewise. Moments are compared as text, as columns of
/// flat tables keep them: `2026-01-31T12:00:00.000000Z`.
///
/// ```
/// use ermine_core::{Filter, field};
///
/// let long_or_hers: Filter = field("km")?.ge(100).or(field("driver.name")?.eq("ada"));
/// assert!(long_or_hers.matches(&serde_json::json!({"km": 3, "driver": {"name": "ada"}})));
/// assert!(!long_or_hers.matches(&serde_json::json!({"km": "100"})));
/// # Ok::<(), ermine_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// A field compared with a value.
    Compare {
        /// Which field.
        field: Field,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Value,
    },
    /// All of them.
    And(Vec<Filter>),
    /// Any of them.
    Or(Vec<Filter>),
    /// The opposite.
    Not(Box<Filter>),
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// Not `=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Filter {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::And(mut all) => {
                all.push(other);
                Self::And(all)
            }
            one => Self::And(vec![one, other]),
        }
    }

    /// One or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Or(mut any) => {
                any.push(other);
                Self::Or(any)
            }
            one => Self::Or(vec![one, other]),
        }
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether it is true of `document`: the meaning that every store has to give it.
    #[must_use]
    pub fn matches(&self, document: &serde_json::Value) -> bool {
        match self {
            Self::Compare { field, comparison, value } => {
                let ordering = compare::with_value(field.of(document), value);
                match comparison {
                    Comparison::Equal => ordering == Some(Ordering::Equal),
                    Comparison::NotEqual => ordering != Some(Ordering::Equal),
                    Comparison::Less => ordering == Some(Ordering::Less),
                    Comparison::LessOrEqual => ordering.is_some_and(Ordering::is_le),
                    Comparison::Greater => ordering == Some(Ordering::Greater),
                    Comparison::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
                }
            }
            Self::And(all) => all.iter().all(|filter| filter.matches(document)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(document)),
            Self::Not(filter) => !filter.matches(document),
        }
    }
}
