use serde::Serialize;
use serde_json::{Map, Number, Value as Json};

use crate::{ApplyError, Field, Value, field};

/// Changes of single fields of a view: what [`ViewChanges::patch`](super::ViewChanges::patch) takes.
///
/// ```
/// # use ermine_core::Patch;
/// let patch = Patch::new().set("status", "ended")?.increment("legs", 1)?.remove("draft")?;
/// let mut trip = serde_json::json!({"status": "open", "legs": 2, "draft": true});
/// patch.apply(&mut trip)?;
/// assert_eq!(trip, serde_json::json!({"status": "ended", "legs": 3}));
/// # Ok::<(), ermine_core::ApplyError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    steps: Vec<(Field, Step)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Set(Json),
    Increment(Number),
    Push(Json),
    Remove,
}

impl Patch {
    /// A patch that changes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `value` at `path`, making the objects on the way.
    ///
    /// # Errors
    ///
    /// When the path is none, or the value has no JSON form.
    pub fn set<T: Serialize>(self, path: &str, value: T) -> Result<Self, ApplyError> {
        let value = serde_json::to_value(value)?;
        self.step(path, Step::Set(value))
    }

    /// Adds `by` to the number at `path`; a missing one counts as 0.
    ///
    /// # Errors
    ///
    /// When the path is none, or `by` is not a number.
    pub fn increment(self, path: &str, by: impl Into<Value>) -> Result<Self, ApplyError> {
        let by = match by.into() {
            Value::Integer(by) => Some(Number::from(by)),
            Value::Real(by) => Number::from_f64(by),
            _ => None,
        };
        let by = by.ok_or_else(|| {
            ApplyError::msg(format!("field \"{path}\" can be incremented by a number only"))
        })?;
        self.step(path, Step::Increment(by))
    }

    /// Appends `value` to the array at `path`; a missing one counts as empty.
    ///
    /// # Errors
    ///
    /// When the path is none, or the value has no JSON form.
    pub fn push<T: Serialize>(self, path: &str, value: T) -> Result<Self, ApplyError> {
        let value = serde_json::to_value(value)?;
        self.step(path, Step::Push(value))
    }

    /// Removes the member at `path`, if it is there.
    ///
    /// # Errors
    ///
    /// When the path is none.
    pub fn remove(self, path: &str) -> Result<Self, ApplyError> {
        self.step(path, Step::Remove)
    }

    /// Changes `document`.
    ///
    /// # Errors
    ///
    /// When a field is not what a change needs: a number, an array, an object.
    pub fn apply(&self, document: &mut Json) -> Result<(), ApplyError> {
        self.steps.iter().try_for_each(|(field, step)| step.apply(field, document))
    }

    fn step(mut self, path: &str, step: Step) -> Result<Self, ApplyError> {
        self.steps.push((field(path)?, step));
        Ok(self)
    }
}

impl Step {
    fn apply(&self, field: &Field, document: &mut Json) -> Result<(), ApplyError> {
        let Some((last, way)) = field.path().split_last() else { return Ok(()) };
        let mut at = document;
        for name in way {
            let members = object(field, at)?;
            // Null counts as missing.
            if members.get(name.as_str()).is_none_or(Json::is_null) {
                if *self == Self::Remove {
                    return Ok(());
                }
                members.insert(name.to_string(), Json::Object(Map::new()));
            }
            at = members.entry(name.as_str()).or_insert(Json::Null);
        }
        let members = object(field, at)?;
        match self {
            Self::Set(value) => drop(members.insert(last.to_string(), value.clone())),
            Self::Remove => drop(members.remove(last.as_str())),
            Self::Increment(by) => {
                let sum = match members.get(last.as_str()) {
                    None | Some(Json::Null) => by.clone(),
                    Some(Json::Number(number)) => add(number, by).ok_or_else(|| {
                        ApplyError::msg(format!(
                            "field \"{field}\" is {number}, and adding {by} leads out of range"
                        ))
                    })?,
                    Some(other) => {
                        return Err(ApplyError::msg(format!(
                            "field \"{field}\" is {other}, not a number to add {by} to"
                        )));
                    }
                };
                members.insert(last.to_string(), sum.into());
            }
            Self::Push(value) => match members.entry(last.as_str()).or_insert(Json::Null) {
                missing @ Json::Null => *missing = Json::Array(vec![value.clone()]),
                Json::Array(values) => values.push(value.clone()),
                other => {
                    return Err(ApplyError::msg(format!(
                        "field \"{field}\" is {other}, not an array to append to"
                    )));
                }
            },
        }
        Ok(())
    }
}

/// The sum of two numbers: whole when both are; `None` when it cannot be held.
pub(super) fn add(a: &Number, b: &Number) -> Option<Number> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.checked_add(b).map(Number::from),
        _ => Number::from_f64(a.as_f64()? + b.as_f64()?),
    }
}

fn object<'d>(field: &Field, document: &'d mut Json) -> Result<&'d mut Map<String, Json>, ApplyError> {
    match document {
        Json::Object(members) => Ok(members),
        other => {
            Err(ApplyError::msg(format!("field \"{field}\" leads through {other}, which is not an object")))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(patch: Result<Patch, ApplyError>, mut document: Json) -> Json {
        patch.unwrap().apply(&mut document).unwrap();
        document
    }

    #[test]
    fn null_counts_as_missing() {
        let of = Patch::new;
        for document in [json!({"at": {}}), json!({"at": {"n": null}})] {
            assert_eq!(patched(of().increment("at.n", 2), document.clone()), json!({"at": {"n": 2}}));
            assert_eq!(patched(of().increment("at.n", 0.5), document.clone()), json!({"at": {"n": 0.5}}));
            assert_eq!(patched(of().push("at.n", "x"), document.clone()), json!({"at": {"n": ["x"]}}));
            assert_eq!(patched(of().set("at.n", 3), document.clone()), json!({"at": {"n": 3}}));
            assert_eq!(patched(of().remove("at.n"), document), json!({"at": {}}));
        }
    }

    #[test]
    fn objects_are_made_on_the_way_where_there_is_nothing_or_null() {
        let of = Patch::new;
        for document in [json!({}), json!({"at": null})] {
            assert_eq!(
                patched(of().increment("at.n.m", 2), document.clone()),
                json!({"at": {"n": {"m": 2}}})
            );
            assert_eq!(patched(of().push("at.n", "x"), document.clone()), json!({"at": {"n": ["x"]}}));
            assert_eq!(patched(of().set("at.n", Json::Null), document.clone()), json!({"at": {"n": null}}));
            assert_eq!(
                patched(of().remove("at.n"), document.clone()),
                document,
                "nothing is there to remove"
            );
        }
    }

    #[test]
    fn what_is_there_and_does_not_fit_is_refused() {
        let refused = |patch: Result<Patch, ApplyError>, mut document: Json| {
            patch.unwrap().apply(&mut document).unwrap_err().to_string()
        };
        let of = Patch::new;
        assert_eq!(
            refused(of().increment("n", 1), json!({"n": false})),
            "field \"n\" is false, not a number to add 1 to"
        );
        assert_eq!(
            refused(of().push("n", 1), json!({"n": {}})),
            "field \"n\" is {}, not an array to append to"
        );
        assert_eq!(
            refused(of().set("at.n", 1), json!({"at": 0})),
            "field \"at.n\" leads through 0, which is not an object"
        );
    }
}
