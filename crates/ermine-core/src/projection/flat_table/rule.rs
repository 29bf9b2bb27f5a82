use serde_json::{Map, Number, Value as Json};
use smol_str::SmolStr;

use super::{
    DeclaredColumn,
    row::{Fields, checked, timestamp},
};
use crate::{ApplyError, ColumnKind, Field, Value, field, projection::patch::add};

/// What events of one type do to their row: see [`flat_table`](super::flat_table).
#[derive(Clone, Debug, Default)]
#[must_use = "a rule does nothing until it is given back"]
pub struct RowRule {
    steps: Vec<Step>,
    delete: bool,
}

#[derive(Clone, Debug)]
struct Step {
    column: SmolStr,
    source: Source,
    change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Set,
    Increment,
    Decrement,
}

#[derive(Clone, Debug)]
enum Source {
    /// A member of the event's data, by path.
    Member(SmolStr),
    Value(Value),
    RecordedAt,
    Stream,
    Version,
}

impl RowRule {
    /// Sets a column to the member of the same name of the event's data.
    pub fn map(self, column: impl Into<SmolStr>) -> Self {
        let column = column.into();
        self.step(column.clone(), Source::Member(column), Change::Set)
    }

    /// Sets a column to a member of the event's data, at a path like `driver.name`.
    pub fn map_from(self, column: impl Into<SmolStr>, member: impl Into<SmolStr>) -> Self {
        self.step(column, Source::Member(member.into()), Change::Set)
    }

    /// Sets a column to a value.
    pub fn set(self, column: impl Into<SmolStr>, value: impl Into<Value>) -> Self {
        self.step(column, Source::Value(value.into()), Change::Set)
    }

    /// Adds a number to a column; null counts as 0.
    pub fn increment(self, column: impl Into<SmolStr>, by: impl Into<Value>) -> Self {
        self.step(column, Source::Value(by.into()), Change::Increment)
    }

    /// Adds a member of the event's data to a column; null counts as 0.
    pub fn increment_from(self, column: impl Into<SmolStr>, member: impl Into<SmolStr>) -> Self {
        self.step(column, Source::Member(member.into()), Change::Increment)
    }

    /// Subtracts a number from a column; null counts as 0.
    pub fn decrement(self, column: impl Into<SmolStr>, by: impl Into<Value>) -> Self {
        self.step(column, Source::Value(by.into()), Change::Decrement)
    }

    /// Subtracts a member of the event's data from a column; null counts as 0.
    pub fn decrement_from(self, column: impl Into<SmolStr>, member: impl Into<SmolStr>) -> Self {
        self.step(column, Source::Member(member.into()), Change::Decrement)
    }

    /// Sets a column to when the event was recorded.
    pub fn recorded_at(self, column: impl Into<SmolStr>) -> Self {
        self.step(column, Source::RecordedAt, Change::Set)
    }

    /// Sets a column to the id of the event's stream.
    pub fn stream(self, column: impl Into<SmolStr>) -> Self {
        self.step(column, Source::Stream, Change::Set)
    }

    /// Sets a column to the event's number in its stream.
    pub fn stream_version(self, column: impl Into<SmolStr>) -> Self {
        self.step(column, Source::Version, Change::Set)
    }

    /// Deletes the row.
    pub const fn delete(mut self) -> Self {
        self.delete = true;
        self
    }

    fn step(mut self, column: impl Into<SmolStr>, source: Source, change: Change) -> Self {
        self.steps.push(Step { column: column.into(), source, change });
        self
    }

    pub(super) const fn deletes(&self) -> bool {
        self.delete
    }

    /// What about it cannot work with `columns`.
    pub(super) fn faults(&self, columns: &[DeclaredColumn]) -> impl Iterator<Item = String> {
        let both =
            (self.delete && !self.steps.is_empty()).then(|| "it both deletes and changes the row".to_owned());
        self.steps.iter().filter_map(|step| step.fault(columns)).chain(both)
    }

    pub(super) fn apply(
        &self,
        row: &mut Map<String, Json>,
        columns: &[DeclaredColumn],
        fields: &Fields,
    ) -> Result<(), ApplyError> {
        for step in &self.steps {
            let Some(column) = columns.iter().find(|column| column.name == step.column) else { continue };
            let value = step.value(fields)?;
            let value = match step.change {
                Change::Set => value,
                Change::Increment => sum(column, row.get(column.name.as_str()), &value, false)?,
                Change::Decrement => sum(column, row.get(column.name.as_str()), &value, true)?,
            };
            row.insert(column.name.to_string(), checked(column, &value)?);
        }
        Ok(())
    }
}

impl Step {
    fn value(&self, fields: &Fields) -> Result<Json, ApplyError> {
        Ok(match &self.source {
            Source::Member(path) => field(path)?.of(&fields.data).clone(),
            Source::Value(value) => json(value),
            Source::RecordedAt => timestamp(fields.recorded_at),
            Source::Stream => Json::from(fields.stream.as_str()),
            Source::Version => Json::from(fields.version),
        })
    }

    fn fault(&self, columns: &[DeclaredColumn]) -> Option<String> {
        let Some(column) = columns.iter().find(|column| column.name == self.column) else {
            let declared: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            return Some(format!(
                "column \"{}\" is not declared: declared are {}",
                self.column,
                declared.join(", ")
            ));
        };
        if self.change != Change::Set && !matches!(column.kind, ColumnKind::Integer | ColumnKind::Real) {
            return Some(format!(
                "column \"{}\" holds {}, which cannot be counted up or down",
                column.name, column.kind
            ));
        }
        match &self.source {
            Source::Member(path) => field(path).map(|_: Field| ()).map_err(|e| e.to_string()).err(),
            Source::Value(value) => checked(column, &json(value)).err().map(|e| e.to_string()),
            Source::RecordedAt if column.kind != ColumnKind::Timestamp => {
                Some(format!("column \"{}\" holds {}, not a timestamp", column.name, column.kind))
            }
            Source::Stream if column.kind != ColumnKind::Text => {
                Some(format!("column \"{}\" holds {}, not text", column.name, column.kind))
            }
            Source::Version if column.kind != ColumnKind::Integer => {
                Some(format!("column \"{}\" holds {}, not an integer", column.name, column.kind))
            }
            _ => None,
        }
    }
}

/// A constant as JSON.
pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => Json::from(*value),
        Value::Integer(value) => Json::from(*value),
        Value::Real(value) => Json::from(*value),
        Value::Text(value) => Json::from(value.as_str()),
        Value::Timestamp(at) => timestamp(*at),
        Value::Json(body) => body.decode().unwrap_or(Json::Null),
    }
}

fn sum(column: &DeclaredColumn, held: Option<&Json>, by: &Json, negative: bool) -> Result<Json, ApplyError> {
    let not_a_number = || {
        ApplyError::msg(format!("column \"{}\" cannot be changed by {by}: it is not a number", column.name))
    };
    let Json::Number(by) = by else { return Err(not_a_number()) };
    let zero = Number::from(0);
    let held = match held {
        Some(Json::Number(number)) => number,
        _ => &zero,
    };
    let by = match column.kind {
        // A store may give 4.0 back as 4, which must not make it a whole number.
        ColumnKind::Real => by.as_f64().and_then(Number::from_f64).ok_or_else(not_a_number)?,
        _ => by.clone(),
    };
    let by = if negative { negated(&by).ok_or_else(not_a_number)? } else { by };
    let out_of_range = || {
        ApplyError::msg(format!("column \"{}\" is {held}, and adding {by} leads out of range", column.name))
    };
    add(held, &by).map(Json::Number).ok_or_else(out_of_range)
}

fn negated(number: &Number) -> Option<Number> {
    match number.as_i64() {
        Some(whole) => whole.checked_neg().map(Number::from),
        None => Number::from_f64(-number.as_f64()?),
    }
}
