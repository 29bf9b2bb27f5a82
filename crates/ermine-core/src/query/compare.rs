//! Comparing JSON values, exactly.

use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use crate::Value;

/// The order of two fields: null, booleans, numbers, text, the rest.
pub(super) fn rank(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => numbers(a, b),
        (Json::String(a), Json::String(b)) => a.cmp(b),
        _ => kind(a).cmp(&kind(b)),
    }
}

const fn kind(json: &Json) -> u8 {
    match json {
        Json::Null => 0,
        Json::Bool(_) => 1,
        Json::Number(_) => 2,
        Json::String(_) => 3,
        Json::Array(_) | Json::Object(_) => 4,
    }
}

/// `None` where the field is not of the value's kind.
pub(super) fn with_value(field: &Json, value: &Value) -> Option<Ordering> {
    match (field, value) {
        (Json::Null, Value::Null) => Some(Ordering::Equal),
        (Json::Bool(field), Value::Boolean(value)) => Some(field.cmp(value)),
        (Json::Number(field), Value::Integer(value)) => Some(numbers(field, &Number::from(*value))),
        (Json::Number(field), Value::Real(value)) => Some(numbers(field, &Number::from_f64(*value)?)),
        (Json::String(field), Value::Text(value)) => Some(field.as_str().cmp(value)),
        _ => None,
    }
}

fn numbers(a: &Number, b: &Number) -> Ordering {
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => integer_and_real(a, real(b)),
        (None, Some(b)) => integer_and_real(b, real(a)).reverse(),
        (None, None) => real(a).partial_cmp(&real(b)).unwrap_or(Ordering::Equal),
    }
}

fn integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn real(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}

/// Exact also where the integer has more digits than a real can hold. JSON integers are within 64 bits, signed or not.
#[allow(clippy::cast_possible_truncation, reason = "the bounds are checked before")]
fn integer_and_real(integer: i128, real: f64) -> Ordering {
    const BOUND: f64 = 36_893_488_147_419_103_232.0; // 2^65
    if real >= BOUND {
        return Ordering::Less;
    }
    if real <= -BOUND {
        return Ordering::Greater;
    }
    let whole = real.trunc();
    integer.cmp(&(whole as i128)).then_with(|| {
        let fraction = real - whole;
        0.0_f64.partial_cmp(&fraction).unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_compared_by_value_beyond_the_digits_of_a_real() {
        let sorted = [
            json!(-1e300),
            json!(i64::MIN),
            json!(-2.5),
            json!(-2),
            json!(0),
            json!(0.1),
            json!(9_007_199_254_740_992.0),
            json!(9_007_199_254_740_993_i64),
            json!(u64::MAX),
            json!(1e300),
        ];
        for pair in sorted.windows(2) {
            assert_eq!(rank(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(rank(&pair[1], &pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(rank(&json!(2), &json!(2.0)), Ordering::Equal);
    }

    #[test]
    fn kinds_are_ordered_and_nothing_comes_first() {
        let sorted =
            [json!(null), json!(false), json!(true), json!(7), json!("7"), json!("Z"), json!("a"), json!([])];
        for pair in sorted.windows(2) {
            assert_eq!(rank(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
        }
    }
}
