//! Documents as their readers see them.

use ermine::serde::Deserialize;
use serde_json::Value as Json;

/// A document that is equal to another when every reader gets the same out of it: a store may write the number 4.0 as 4,
/// or 1e16 with all its digits.
#[derive(Clone, Debug, Deserialize)]
#[serde(crate = "ermine::serde", transparent)]
pub(crate) struct Alike(pub(crate) Json);

impl PartialEq for Alike {
    fn eq(&self, other: &Self) -> bool {
        alike(&self.0, &other.0)
    }
}

fn alike(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| alike(a, b)))
        }
        _ => a == b,
    }
}
