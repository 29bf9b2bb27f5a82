use ermine_core::{ColumnKind, Comparison, Field, Filter, Value};
use rusqlite::types::Value as SqlValue;

use crate::columns::{Rows, quoted};

/// How many comparisons the SQL may have. SQLite refuses expressions deeper than 1,000, and long before that looking at every
/// view is as fast.
const PARTS_MAX: usize = 200;

/// What every view that a filter means has in common, as SQL that an index can serve.
///
/// It may let views through that are not meant, and never leaves out one that is. So it says nothing where SQLite sees things
/// in its own way, and takes numbers a little wider than they are, because reading them out of a text may differ in
/// the last digit. Of a member that stands twice in an object SQLite sees the first and we the last; what serde writes has
/// none.
#[derive(Debug)]
pub(crate) struct Narrow {
    pub(crate) condition: String,
    pub(crate) values: Vec<SqlValue>,
    /// The expressions that are compared, as far as an index on one of them would serve.
    pub(crate) by: Vec<String>,
}

impl Narrow {
    /// What `filter` says, with parameters from `first` on; `None` when it says nothing of use.
    pub(crate) fn down(filter: &Filter, rows: Option<&Rows>, first: usize) -> Option<Self> {
        let mut values = Vec::new();
        let condition = condition(filter, rows, first, &mut values)?;
        let mut by = Vec::new();
        compared(filter, rows, &mut by);
        Some(Self { condition, values, by })
    }
}

fn compared(filter: &Filter, rows: Option<&Rows>, by: &mut Vec<String>) {
    match filter {
        Filter::Compare { field, comparison, value } => {
            let is_said = |it: &String| compare(it, *comparison, value, 1, &mut Vec::new()).is_some();
            by.extend(expression(field, rows).filter(is_said));
        }
        Filter::And(all) => fitting(all).for_each(|it| compared(it, rows, by)),
        _ => {}
    }
}

fn condition(
    filter: &Filter,
    rows: Option<&Rows>,
    first: usize,
    values: &mut Vec<SqlValue>,
) -> Option<String> {
    match filter {
        Filter::Compare { field, comparison, value } => {
            compare(&expression(field, rows)?, *comparison, value, first, values)
        }
        Filter::And(all) => {
            let said: Vec<String> =
                fitting(all).filter_map(|it| condition(it, rows, first, values)).collect();
            joined(&said, " and ")
        }
        Filter::Or(any) if parts(filter) <= PARTS_MAX => {
            let before = values.len();
            let said: Vec<String> = any.iter().map_while(|it| condition(it, rows, first, values)).collect();
            if said.len() < any.len() {
                values.truncate(before);
                return None;
            }
            joined(&said, " or ")
        }
        _ => None,
    }
}

/// Those that together are not too many to be said; whoever leaves one out lets more views through.
fn fitting(all: &[Filter]) -> impl Iterator<Item = &Filter> {
    let mut left = PARTS_MAX;
    all.iter().filter(move |it| {
        let rest = left.checked_sub(parts(it));
        left = rest.unwrap_or(left);
        rest.is_some()
    })
}

fn parts(filter: &Filter) -> usize {
    match filter {
        Filter::And(parts_of) | Filter::Or(parts_of) => parts_of.iter().map(parts).sum(),
        _ => 1,
    }
}

fn joined(said: &[String], by: &str) -> Option<String> {
    (!said.is_empty()).then(|| format!("({})", said.join(by)))
}

/// The field as SQL: what an index is made of, letter by letter. `None` for a field that SQL cannot tell as it is compared.
pub(crate) fn expression(field: &Field, rows: Option<&Rows>) -> Option<String> {
    match (rows, field.path()) {
        (None, path) => {
            let path: Vec<String> = path.iter().map(|name| format!("\"{name}\"")).collect();
            Some(format!("json_extract(data, '$.{}')", path.join(".")))
        }
        (Some(rows), [name]) => rows
            .find(name)
            .filter(|column| column.kind != ColumnKind::Json)
            .map(|column| quoted(&column.name)),
        (Some(_), _) => None,
    }
}

fn compare(
    expression: &str,
    comparison: Comparison,
    value: &Value,
    first: usize,
    values: &mut Vec<SqlValue>,
) -> Option<String> {
    let mut bound = |value: SqlValue| {
        values.push(value);
        format!("?{}", first + values.len() - 1)
    };
    let operator = match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => return None,
        Comparison::Less | Comparison::LessOrEqual => "<=",
        Comparison::Greater | Comparison::GreaterOrEqual => ">=",
    };
    match value {
        Value::Null if comparison == Comparison::Equal => Some(format!("{expression} is null")),
        Value::Boolean(value) if comparison == Comparison::Equal => {
            Some(format!("{expression} = {}", bound(i64::from(*value).into())))
        }
        Value::Text(text) => Some(format!("{expression} {operator} {}", bound(text.clone().into()))),
        Value::Integer(_) | Value::Real(_) => {
            let (low, high) = around(value)?;
            match comparison {
                Comparison::Equal => {
                    let (low, high) = (bound(low.into()), bound(high.into()));
                    Some(format!("{expression} between {low} and {high}"))
                }
                Comparison::Less | Comparison::LessOrEqual => {
                    Some(format!("{expression} <= {}", bound(high.into())))
                }
                _ => Some(format!("{expression} >= {}", bound(low.into()))),
            }
        }
        _ => None,
    }
}

/// A number, and what may be read for it, on both sides.
fn around(value: &Value) -> Option<(f64, f64)> {
    #[allow(clippy::cast_precision_loss, reason = "the margin is wider than what is lost")]
    let number = match value {
        Value::Integer(number) => *number as f64,
        Value::Real(number) if number.is_finite() => *number,
        _ => return None,
    };
    let margin = number.abs() * 1e-12 + f64::MIN_POSITIVE;
    Some((number - margin, number + margin))
}

#[cfg(test)]
mod tests {
    use ermine_core::field;

    use super::*;

    fn narrowed(filter: &Filter) -> Option<(String, usize)> {
        Narrow::down(filter, None, 5).map(|it| (it.condition, it.values.len()))
    }

    #[test]
    fn what_sql_can_say_is_said_and_the_rest_left_out() {
        let driver = || field("driver.name").unwrap();
        let km = || field("km").unwrap();
        let said = narrowed(&driver().eq("ada").and(km().ne(7)).and(km().ge(100))).unwrap();
        let wanted =
            "(json_extract(data, '$.\"driver\".\"name\"') = ?5 and json_extract(data, '$.\"km\"') >= ?6)";
        assert_eq!(said, (wanted.to_owned(), 2));
        assert_eq!(narrowed(&driver().eq("ada").negated()), None);
        assert_eq!(narrowed(&driver().eq("ada").or(km().ne(7))), None, "a view of any driver may be meant");
        assert_eq!(narrowed(&Filter::And(vec![])), None);
    }

    #[test]
    fn more_than_sqlite_can_take_is_left_out_and_the_rest_said() {
        let km = || field("km").unwrap();
        let many = Filter::Or((0..1_500).map(|nth| km().eq(nth)).collect());
        assert_eq!(narrowed(&many), None);
        let driver = field("driver").unwrap().eq("ada");
        let said = narrowed(&Filter::And(vec![many, driver])).unwrap();
        assert_eq!(said, ("(json_extract(data, '$.\"driver\"') = ?5)".to_owned(), 1));
        let all = Filter::And((0..1_500).map(|nth| km().ge(nth)).collect());
        assert_eq!(narrowed(&all).unwrap().1, PARTS_MAX);
    }

    #[test]
    fn an_index_on_what_was_left_out_would_not_serve() {
        let km = || field("km").unwrap();
        let mut all: Vec<Filter> = (0..1_500).map(|nth| km().ge(nth)).collect();
        all.push(field("driver").unwrap().eq("ada"));
        let narrow = Narrow::down(&Filter::And(all), None, 5).unwrap();
        assert!(narrow.by.iter().all(|by| *by == expression(&km(), None).unwrap()), "{:?}", narrow.by);
        assert!(!narrow.condition.contains("driver"));
    }

    #[test]
    fn parameters_of_what_was_given_up_are_taken_back() {
        let (driver, km) = (field("driver").unwrap(), field("km").unwrap());
        let half = driver.clone().eq("ada").or(km.clone().ne(7));
        let said = narrowed(&half.and(km.eq(3))).unwrap();
        assert_eq!(said, ("(json_extract(data, '$.\"km\"') between ?5 and ?6)".to_owned(), 2));
    }
}
