//! Filters, orders and indexes of views as SQL: the one place where statements are put together at run time.
//!
//! Names of fields and columns are checked by the core, so they cannot end their quotes; values are parameters, always.
//! A condition may be null instead of false. That is the same to WHERE, AND and OR, and leaves it in the form that an
//! index serves; where it is not the same, under NOT, null is made false first.

mod place;

use ermine_core::{Comparison, Field, FieldIndex, FieldKind, Filter, Layout, Order, Value};
use place::Place;

/// The condition that `filter` is true of a view; values go to the end of `parameters`.
pub(crate) fn condition(layout: &Layout, filter: &Filter, parameters: &mut Vec<Value>) -> String {
    match filter {
        Filter::Compare { field, comparison, value } => {
            compare(&Place::of(layout, field), *comparison, value, parameters)
        }
        Filter::And(all) => join(layout, all, " and ", "true", parameters),
        Filter::Or(any) => join(layout, any, " or ", "false", parameters),
        Filter::Not(filter) => not(&condition(layout, filter, parameters)),
        _ => "false".into(),
    }
}

fn join(layout: &Layout, filters: &[Filter], with: &str, empty: &str, parameters: &mut Vec<Value>) -> String {
    if filters.is_empty() {
        return empty.into();
    }
    let parts: Vec<String> = filters.iter().map(|filter| condition(layout, filter, parameters)).collect();
    format!("({})", parts.join(with))
}

fn not(condition: &str) -> String {
    format!("not coalesce({condition}, false)")
}

fn compare(place: &Place, comparison: Comparison, value: &Value, parameters: &mut Vec<Value>) -> String {
    if comparison == Comparison::NotEqual {
        return not(&compare(place, Comparison::Equal, value, parameters));
    }
    match value {
        // Null is equal to nothing but null, and neither less nor greater.
        Value::Null if matches!(comparison, Comparison::Less | Comparison::Greater) => "false".into(),
        Value::Null => place.is_null(),
        Value::Boolean(_) | Value::Integer(_) | Value::Real(_) | Value::Text(_) => {
            place.compare(operator(comparison), value, parameters)
        }
        // A view holds moments as text, and nothing compares with JSON.
        _ => "false".into(),
    }
}

const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// The order of views; those that tie by id.
pub(crate) fn order_by(layout: &Layout, orders: &[Order]) -> String {
    let mut keys: Vec<String> = orders
        .iter()
        .flat_map(|order| {
            let direction = if order.descending { "desc nulls last" } else { "asc nulls first" };
            let keys = Place::of(layout, &order.field).order_keys();
            keys.into_iter().map(move |key| format!("{key} {direction}"))
        })
        .collect();
    keys.push("v.id".into());
    keys.join(", ")
}

/// What an index holds of a field, and a text that tells it from other indexes of the table; `None` where there is no such
/// field.
pub(crate) fn index(layout: &Layout, index: &FieldIndex) -> Option<(String, String)> {
    let kind = match index.kind {
        FieldKind::Text => "text",
        FieldKind::Number => "number",
    };
    let expression = Place::of(layout, &index.field).indexed(index.kind)?;
    Some((expression, format!("{kind} {}", path(&index.field))))
}

fn path(field: &Field) -> String {
    field.path().join(".")
}

#[cfg(test)]
mod tests;
