//! Where a field of a view is found, and how it is compared there.

use ermine_core::{Column, ColumnKind, Field, FieldKind, Layout, Timestamp, Value};

use crate::view_sql;

/// How many characters of a text an index holds: an entry has at most 2704 bytes, tenant included, and a view with a long
/// text has to be stored all the same.
const INDEXED_CHARS: usize = 200;

/// Where a field is found.
pub(super) enum Place {
    /// An expression of type `jsonb`; null where there is nothing.
    Json(String),
    /// A column of its own, and its name in quotes.
    Column(ColumnKind, String),
    /// In no view.
    Nowhere,
}

impl Place {
    pub(super) fn of(layout: &Layout, field: &Field) -> Self {
        let (base, path) = match layout {
            Layout::Document => ("data".to_owned(), field.path()),
            Layout::Columns(columns) => {
                let Some((first, rest)) = field.path().split_first() else { return Self::Nowhere };
                let named = |column: &&Column| column.name.as_str() == first.as_str();
                let Some(column) = columns.columns.iter().find(named) else { return Self::Nowhere };
                match column.kind {
                    ColumnKind::Json => (view_sql::quoted(column), rest),
                    kind if rest.is_empty() => return Self::Column(kind, view_sql::quoted(column)),
                    _ => return Self::Nowhere,
                }
            }
        };
        // One step after the other: a step by name never looks into an array, as a path would.
        let steps: String = path.iter().map(|name| format!(" -> '{name}'")).collect();
        Self::Json(if steps.is_empty() { base } else { format!("({base}{steps})") })
    }

    pub(super) fn is_null(&self) -> String {
        match self {
            Self::Json(json) => format!("coalesce(jsonb_typeof({json}), 'null') = 'null'"),
            Self::Column(_, name) => format!("{name} is null"),
            Self::Nowhere => "true".into(),
        }
    }

    /// The comparison with a boolean, a number or a text; null or false where it does not hold.
    pub(super) fn compare(&self, operator: &str, value: &Value, parameters: &mut Vec<Value>) -> String {
        if let Value::Text(wanted) = value
            && let Some((head, _)) = wanted.split_once('\0')
        {
            // No text here has a NUL, nor can one be sent. What is before it is less, and whatever is greater than that is
            // greater than the whole.
            return match operator {
                "<" | "<=" => self.compare("<=", &head.into(), parameters),
                ">" | ">=" => self.compare(">", &head.into(), parameters),
                _ => "false".into(),
            };
        }
        let mut parameter = |value: &Value, kind: &str| {
            parameters.push(value.clone());
            format!("${}::{kind}", parameters.len())
        };
        match (self, value) {
            (_, Value::Real(real)) if !real.is_finite() => "false".into(),
            (Self::Json(json), Value::Text(wanted)) => {
                text(&text_of(json), operator, wanted, &parameter(value, "text"))
            }
            (Self::Json(json), Value::Boolean(_)) => {
                scalar(json, operator, "boolean", &parameter(value, "jsonb"))
            }
            (Self::Json(json), Value::Integer(_) | Value::Real(_)) => {
                scalar(json, operator, "number", &parameter(value, "jsonb"))
            }
            (Self::Column(ColumnKind::Text, name), Value::Text(wanted)) => {
                text(name, operator, wanted, &parameter(value, "text"))
            }
            (Self::Column(ColumnKind::Boolean, name), Value::Boolean(_)) => {
                format!("{name} {operator} {}", parameter(value, "boolean"))
            }
            (Self::Column(ColumnKind::Integer, name), Value::Integer(_)) => {
                format!("{name} {operator} {}", parameter(value, "bigint"))
            }
            (Self::Column(ColumnKind::Integer, name), Value::Real(_)) => {
                format!("{name}::numeric {operator} {}", parameter(value, "numeric"))
            }
            (Self::Column(ColumnKind::Real, name), Value::Real(_)) => {
                format!("{name} {operator} {}", parameter(value, "double precision"))
            }
            (Self::Column(ColumnKind::Real, name), Value::Integer(whole)) if is_exact(*whole) => {
                format!("{name} {operator} {}", parameter(value, "double precision"))
            }
            (Self::Column(ColumnKind::Real, name), Value::Integer(_)) => {
                format!("to_jsonb({name}) {operator} {}", parameter(value, "jsonb"))
            }
            (Self::Column(ColumnKind::Timestamp, name), Value::Text(wanted)) if is_moment(wanted) => {
                format!("{name} {operator} {}", parameter(value, "timestamptz"))
            }
            (Self::Column(ColumnKind::Timestamp, name), Value::Text(_)) => {
                let moment = view_sql::moment(name);
                format!("{moment} collate \"C\" {operator} {}", parameter(value, "text"))
            }
            _ => "false".into(),
        }
    }

    /// What to sort by, the smallest first: the kinds by their rank, each kind within itself.
    pub(super) fn order_keys(&self) -> Vec<String> {
        match self {
            Self::Json(json) => vec![
                format!(
                    "case jsonb_typeof({json}) when 'boolean' then 1 when 'number' then 2 when 'string' then 3 \
                     when 'array' then 4 when 'object' then 4 else 0 end"
                ),
                scalar_of(json),
                format!("{} collate \"C\"", text_of(json)),
            ],
            // With its table: a bare name might be that of something that the statement gives.
            Self::Column(ColumnKind::Text, name) => vec![format!("v.{name} collate \"C\"")],
            Self::Column(_, name) => vec![format!("v.{name}")],
            Self::Nowhere => Vec::new(),
        }
    }

    /// What an index holds of it.
    pub(super) fn indexed(&self, kind: FieldKind) -> Option<String> {
        let head = |text: &str| format!("({}) collate \"C\"", head(text));
        match (self, kind) {
            (Self::Json(json), FieldKind::Text) => Some(head(&text_of(json))),
            (Self::Json(json), FieldKind::Number) => Some(format!("({})", scalar_of(json))),
            (Self::Column(ColumnKind::Text, name), _) => Some(head(name)),
            (Self::Column(_, name), _) => Some(name.clone()),
            (Self::Nowhere, _) => None,
        }
    }
}

/// The text there; null where it is none.
fn text_of(json: &str) -> String {
    format!("(case when jsonb_typeof({json}) = 'string' then {json} #>> '{{}}' end)")
}

/// The number or boolean there; null where it is neither.
fn scalar_of(json: &str) -> String {
    format!("(case when jsonb_typeof({json}) in ('number', 'boolean') then {json} end)")
}

/// JSON orders booleans after numbers, so a comparison has to ask for the kind as well, an equation has not.
fn scalar(json: &str, operator: &str, kind: &str, parameter: &str) -> String {
    let comparison = format!("{} {operator} {parameter}", scalar_of(json));
    match operator {
        "=" => comparison,
        _ => format!("({comparison} and jsonb_typeof({json}) = '{kind}')"),
    }
}

fn head(text: &str) -> String {
    format!("left({text}, {INDEXED_CHARS})")
}

/// An index holds the heads of texts. To compare heads is to compare texts when what is compared with is shorter than a
/// head; else it is a first look, which lets ties through.
fn text(text: &str, operator: &str, wanted: &str, parameter: &str) -> String {
    let head_of_text = head(text);
    if wanted.chars().count() < INDEXED_CHARS {
        return format!("{head_of_text} collate \"C\" {operator} {parameter}");
    }
    let loose = match operator {
        "<" => "<=",
        ">" => ">=",
        same => same,
    };
    format!(
        "({head_of_text} collate \"C\" {loose} {} and {text} collate \"C\" {operator} {parameter})",
        head(parameter)
    )
}

/// Whether a real number can hold it.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "this is what is asked")]
fn is_exact(whole: i64) -> bool {
    (whole as f64) as i128 == i128::from(whole)
}

/// Whether it is a moment as views have it, so that the order of texts is the order of moments.
fn is_moment(text: &str) -> bool {
    let moment = text.parse::<Timestamp>();
    moment.is_ok_and(|at| text.len() == 27 && format!("{at:.6}") == text && !text.starts_with('-'))
}
