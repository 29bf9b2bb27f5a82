use std::{any::type_name, error::Error as StdError, fmt, sync::Arc};

use smol_str::SmolStr;

use super::ErrorClass;
use crate::Error;

/// Which failures an [`ErrorRule`](super::ErrorRule) is for.
#[derive(Clone)]
pub struct Matcher {
    class: Option<ErrorClass>,
    conditions: Vec<Condition>,
}

#[derive(Clone)]
struct Condition {
    what: SmolStr,
    holds: Arc<dyn Fn(&Error) -> bool + Send + Sync>,
}

/// Failures that have an `E` among their causes: the error that user code returned, or one below it.
#[must_use]
pub fn of_type<E: StdError + 'static>() -> Matcher {
    when(format!("of type {}", type_name::<E>()), |error| {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = next {
            if error.is::<E>() {
                return true;
            }
            next = error.source();
        }
        false
    })
}

/// Failures for which `holds` is true; `what` says in words which these are: `when("a bad amount", |e| ..)`.
#[must_use]
pub fn when(what: impl Into<SmolStr>, holds: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Matcher {
    Matcher { class: None, conditions: vec![Condition { what: what.into(), holds: Arc::new(holds) }] }
}

impl Matcher {
    /// Failures that `other` is for as well: `ErrorClass::Apply.and(of_type::<Overdrawn>())`.
    #[must_use]
    pub fn and(mut self, other: impl Into<Self>) -> Self {
        let other = other.into();
        self.class = self.class.or(other.class);
        self.conditions.extend(other.conditions);
        self
    }

    /// Whether the failure is meant.
    #[must_use]
    pub fn matches(&self, class: ErrorClass, error: &Error) -> bool {
        self.class.is_none_or(|wanted| wanted == class) && self.conditions.iter().all(|c| (c.holds)(error))
    }

    /// The class it is limited to, where it is.
    #[must_use]
    pub const fn class(&self) -> Option<ErrorClass> {
        self.class
    }

    /// Whether it is for all failures of its class, or for all failures.
    #[must_use]
    pub const fn is_unconditional(&self) -> bool {
        self.conditions.is_empty()
    }
}

impl ErrorClass {
    /// Failures of this class that `other` is for as well.
    #[must_use]
    pub fn and(self, other: impl Into<Matcher>) -> Matcher {
        Matcher::from(self).and(other)
    }
}

impl From<ErrorClass> for Matcher {
    fn from(class: ErrorClass) -> Self {
        Self { class: Some(class), conditions: Vec::new() }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            Some(class) => write!(f, "{class}")?,
            None => f.write_str("any")?,
        }
        self.conditions.iter().try_for_each(|condition| write!(f, ", {}", condition.what))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({self})")
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Condition, &Condition)| a.what == b.what && Arc::ptr_eq(&a.holds, &b.holds);
        self.class == other.class
            && self.conditions.len() == other.conditions.len()
            && self.conditions.iter().zip(&other.conditions).all(same)
    }
}

impl Eq for Matcher {}
