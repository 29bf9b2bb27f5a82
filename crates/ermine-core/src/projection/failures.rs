use super::Failure;
use crate::Error;

/// The events of a page that were refused: at least one, in the order in which they were found.
#[derive(Debug)]
pub struct Failures(Vec<Failure>);

impl Failures {
    /// All of `failures`; `None` when there are none.
    #[must_use]
    pub fn of(failures: Vec<Failure>) -> Option<Self> {
        (!failures.is_empty()).then_some(Self(failures))
    }

    /// Those of `self` and of `other`.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The one with the lowest number.
    #[must_use]
    pub fn earliest(mut self) -> Failure {
        let at = (0..self.0.len()).min_by_key(|at| self.0[*at].seq).unwrap_or_default();
        self.0.swap_remove(at)
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Failure> {
        self.0.iter()
    }
}

impl From<Failure> for Failures {
    fn from(failure: Failure) -> Self {
        Self(vec![failure])
    }
}

/// The earliest one.
impl From<Failures> for Error {
    fn from(failures: Failures) -> Self {
        failures.earliest().into()
    }
}

impl IntoIterator for Failures {
    type Item = Failure;
    type IntoIter = std::vec::IntoIter<Failure>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'f> IntoIterator for &'f Failures {
    type Item = &'f Failure;
    type IntoIter = std::slice::Iter<'f, Failure>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Collects what fails, while the rest goes on.
#[derive(Default)]
pub(super) struct Gathered(Vec<Failure>);

impl Gathered {
    /// The value, unless it has failed.
    pub(super) fn keep<T>(&mut self, result: Result<T, Failure>) -> Option<T> {
        result.map_err(|failure| self.0.push(failure)).ok()
    }

    /// `value`, unless anything has failed.
    pub(super) fn unless_failed<T>(self, value: T) -> Result<T, Failures> {
        Failures::of(self.0).map_or(Ok(value), Err)
    }
}
