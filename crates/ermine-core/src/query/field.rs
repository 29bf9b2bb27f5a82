use std::fmt;

use smol_str::SmolStr;

use super::{Comparison, Filter, Order};
use crate::{Error, Result, Value};

/// The path of a field in a view: the names of members, outermost first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(Vec<SmolStr>);

/// The field at `path`, members separated by dots: `field("driver.name")`.
///
/// # Errors
///
/// [`Configuration`](crate::ErrorKind::Configuration) when a name is empty, has more than 63 bytes or anything but
/// letters, digits, `_` and `-`.
pub fn field(path: &str) -> Result<Field> {
    let fits = |name: &str| {
        (1..=63).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    match path.split('.').find(|name| !fits(name)) {
        None => Ok(Field(path.split('.').map(SmolStr::new).collect())),
        Some(name) => Err(Error::configuration(format!(
            "\"{path}\" is not a field: the name \"{name}\" in it must be 1 to 63 letters, digits, _ or -"
        ))),
    }
}

macro_rules! comparisons {
    ($($name:ident $comparison:ident $doc:literal),*) => {$(
        #[doc = $doc]
        #[must_use]
        pub fn $name(self, value: impl Into<Value>) -> Filter {
            Filter::Compare { field: self, comparison: Comparison::$comparison, value: comparable(value.into()) }
        }
    )*};
}

impl Field {
    comparisons! {
        eq Equal "Whether it is equal to `value`; equal to null means missing or null.",
        ne NotEqual "The opposite of [`eq`](Self::eq): also true where the field is missing.",
        lt Less "Whether it is of the kind of `value` and less.",
        le LessOrEqual "Whether it is of the kind of `value` and at most `value`.",
        gt Greater "Whether it is of the kind of `value` and greater.",
        ge GreaterOrEqual "Whether it is of the kind of `value` and at least `value`."
    }

    /// Order by this field, smallest first.
    #[must_use]
    pub const fn ascending(self) -> Order {
        Order { field: self, descending: false }
    }

    /// Order by this field, greatest first.
    #[must_use]
    pub const fn descending(self) -> Order {
        Order { field: self, descending: true }
    }

    /// The names of members on the way, outermost first.
    #[must_use]
    pub fn path(&self) -> &[SmolStr] {
        &self.0
    }

    /// What is there in `document`; null where nothing is.
    #[must_use]
    pub fn of<'d>(&self, document: &'d serde_json::Value) -> &'d serde_json::Value {
        static NULL: serde_json::Value = serde_json::Value::Null;
        self.0.iter().try_fold(document, |at, name| at.as_object()?.get(name.as_str())).unwrap_or(&NULL)
    }
}

/// Moments are compared as text, in the form in which columns keep them.
fn comparable(value: Value) -> Value {
    match value {
        Value::Timestamp(at) => Value::Text(format!("{at:.6}")),
        other => other,
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
