//! Documents and questions about them, drawn at random and the same in every run.

use ermine_core::{Body, Comparison, Field, Filter, Order, Timestamp, Value, ViewId, ViewQuery, field};
use serde_json::{Value as Json, json};

use crate::{bench::at_most, documents::Document};

/// Numbers that follow from a seed alone (`SplitMix64`).
pub(crate) struct Random(u64);

/// What documents have, or not; some of it lies deeper, and some is an array that is no object with a member `0`.
const FIELDS: [&str; 10] =
    ["n", "t", "b", "any", "driver", "driver.name", "driver.km", "list.0", "Caps-and_dash", "deep.er.still"];

const TEXTS: [&str; 30] = [
    "",
    " ",
    "a",
    "A",
    "aa",
    "a b",
    "ab",
    "b",
    "Z",
    "z",
    "10",
    "9",
    "-1",
    "null",
    "true",
    "\u{e4}",
    "a\u{308}",
    "\u{df}",
    "\u{e000}",
    "\u{1f9a6}",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "new\nline",
    "\u{1f}",
    "100%",
    "_",
    "$1 ? :x",
    "{schema}.{table}",
    "2026-01-31T12:00:00.000000Z",
];

/// All of them are read as they are written, whatever digits a store gives back.
const REALS: [f64; 14] = [
    0.0,
    -0.0,
    0.1,
    -0.1,
    2.0,
    2.5,
    -2.5,
    1e-7,
    9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    18_446_744_073_709_551_616.0,
    1e300,
    -1e300,
    100.0,
];

const INTEGERS: [i64; 14] = [
    0,
    1,
    -1,
    2,
    3,
    9,
    10,
    100,
    -100,
    9_007_199_254_740_992,
    9_007_199_254_740_993,
    -9_007_199_254_740_993,
    i64::MAX,
    i64::MIN,
];

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

impl Random {
    /// Numbers that need all their digits, or lie at an end of what there is.
    pub(crate) const HARD_REALS: [f64; 18] = [
        0.0,
        -0.0,
        0.1 + 0.2,
        1.0 / 3.0,
        -2.0 / 3.0,
        5e-324,
        -5e-324,
        f64::MIN_POSITIVE,
        // The largest that is less than it.
        2.225_073_858_507_201e-308,
        1.797_693_134_862_315_7e308,
        -1.797_693_134_862_315_7e308,
        // Halfway between two others that are read from fewer digits.
        9.007_199_254_740_994e15,
        8.988_465_674_311_58e307,
        1e23,
        8.41e21,
        9_007_199_254_740_993.5,
        f64::EPSILON,
        1.0 + f64::EPSILON,
    ];

    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number that JSON can hold, of whatever size.
    pub(crate) fn real(&mut self) -> f64 {
        loop {
            let real = f64::from_bits(self.next());
            if real.is_finite() {
                return real;
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % count).unwrap_or_default()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Text that nothing compresses.
    pub(crate) fn noise(&mut self, chars: usize) -> String {
        (0..chars)
            .map(|_| char::from(*self.pick(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/")))
            .collect()
    }

    /// The `nth` id, which begins with anything.
    pub(crate) fn id(&mut self, nth: usize) -> ViewId {
        let text = self.pick(&TEXTS);
        ViewId::new(format!("{text}{nth}")).expect("the suite's ids are ids")
    }

    pub(crate) fn document(&mut self) -> Json {
        if self.chance(5) {
            return self.anything();
        }
        let mut document = json!({});
        let mut set = |name: &str, value: Json| document[name] = value;
        if self.chance(75) {
            set("n", self.mostly(Self::number));
        }
        if self.chance(75) {
            set("t", self.mostly(Self::text));
        }
        if self.chance(60) {
            set("b", self.mostly(|random| random.chance(50).into()));
        }
        if self.chance(80) {
            set("any", self.anything());
        }
        if self.chance(70) {
            let driver = json!({"name": self.mostly(Self::text), "km": self.mostly(Self::number)});
            set("driver", if self.chance(80) { driver } else { self.anything() });
        }
        if self.chance(50) {
            let list = if self.chance(50) { json!({"0": self.scalar()}) } else { json!([self.scalar(), 1]) };
            set("list", list);
        }
        if self.chance(50) {
            set("Caps-and_dash", self.scalar());
        }
        if self.chance(50) {
            let still = json!({"still": self.scalar()});
            set("deep", json!({"er": if self.chance(80) { still } else { self.scalar() }}));
        }
        document
    }

    fn mostly(&mut self, kind: impl FnOnce(&mut Self) -> Json) -> Json {
        if self.chance(85) { kind(self) } else { self.anything() }
    }

    fn anything(&mut self) -> Json {
        match self.below(10) {
            0 => json!([]),
            1 => json!([self.scalar(), self.scalar()]),
            2 => json!({}),
            3 => json!({"name": self.scalar(), "0": self.scalar()}),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Json {
        match self.below(8) {
            0 => Json::Null,
            1 => self.chance(50).into(),
            2..=4 => self.number(),
            _ => self.text(),
        }
    }

    fn number(&mut self) -> Json {
        match self.below(10) {
            0 => u64::MAX.into(),
            1..=4 => (*self.pick(&REALS)).into(),
            _ => (*self.pick(&INTEGERS)).into(),
        }
    }

    fn text(&mut self) -> Json {
        (*self.pick(&TEXTS)).into()
    }

    /// What a field is compared with: like what documents have, and sometimes what no document can have.
    fn value(&mut self) -> Value {
        match self.below(40) {
            0 => Value::Timestamp(Timestamp::UNIX_EPOCH),
            1 => Value::Json(Body::encode(&json!({"name": "a"})).expect("it is JSON")),
            2 => Value::Real(*self.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
            3..=6 => Value::Null,
            7..=11 => Value::Boolean(self.chance(50)),
            12..=27 => self.number_value(),
            _ => self.text_value(),
        }
    }

    fn number_value(&mut self) -> Value {
        if self.chance(50) { (*self.pick(&INTEGERS)).into() } else { (*self.pick(&REALS)).into() }
    }

    fn text_value(&mut self) -> Value {
        (*self.pick(&TEXTS)).into()
    }

    fn field(&mut self) -> Field {
        field(self.pick::<&str>(&FIELDS)).expect("the suite's fields are fields")
    }

    /// `depth` is how many filters may lie in one another.
    pub(crate) fn filter(&mut self, depth: usize) -> Filter {
        let parts = self.below(4);
        match self.below(if depth > 0 { 8 } else { 5 }) {
            5 => Filter::And((0..parts).map(|_| self.filter(depth - 1)).collect()),
            6 => Filter::Or((0..parts).map(|_| self.filter(depth - 1)).collect()),
            7 => self.filter(depth - 1).negated(),
            _ => {
                let (field, comparison) = (self.field(), *self.pick(&COMPARISONS));
                // Mostly what the field can be expected to hold.
                let value = match field.to_string().as_str() {
                    "n" | "driver.km" if self.chance(80) => self.number_value(),
                    "t" | "driver.name" if self.chance(80) => self.text_value(),
                    "b" if self.chance(80) => self.chance(50).into(),
                    _ => self.value(),
                };
                Filter::Compare { field, comparison, value }
            }
        }
    }

    /// A filter about fields of these paths, with values that some of the documents have there, or any.
    pub(crate) fn filter_about(&mut self, paths: &[String], documents: &[Document]) -> Filter {
        let mut compare = || {
            let field = field(self.pick::<String>(paths)).expect("the suite's fields are fields");
            let value = match field.of(&self.pick(documents).1) {
                Json::Bool(value) => Value::Boolean(*value),
                Json::Number(number) if number.is_i64() => number.as_i64().into(),
                Json::Number(number) => number.as_f64().into(),
                Json::String(text) => Value::Text(text.clone()),
                _ => self.value(),
            };
            Filter::Compare { field, comparison: *self.pick(&COMPARISONS), value }
        };
        let (one, other) = (compare(), compare());
        match self.below(4) {
            0 => one.and(other),
            1 => one.or(other.negated()),
            2 => one.negated(),
            _ => one,
        }
    }

    /// The same query with another filter, order and page; `ids` are those that there are.
    pub(crate) fn query(&mut self, base: &ViewQuery, ids: &[ViewId]) -> ViewQuery {
        let filter = self.chance(85).then(|| self.filter(3));
        let order = (0..self.below(4)).map(|_| Order { field: self.field(), descending: self.chance(50) });
        let order = order.collect();
        let after = self.chance(20).then(|| self.pick(ids).clone());
        let offset = if self.chance(30) { self.below(ids.len()) } else { 0 };
        let limit = if self.chance(50) { at_most(1000) } else { at_most(1 + self.below(ids.len())) };
        ViewQuery { filter, order, after, offset, limit, ..base.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_filters_tell_documents_apart() {
        let mut random = Random::new(7);
        let documents: Vec<Json> = (0..60).map(|_| random.document()).collect();
        let counts: Vec<usize> = (0..1000)
            .map(|_| {
                let filter = random.filter(3);
                documents.iter().filter(|document| filter.matches(document)).count()
            })
            .collect();
        let telling = counts.iter().filter(|count| (1..60).contains(*count)).count();
        assert!(telling > 550, "only {telling} of 1000 filters match some documents and not all");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = || {
            (0..20).map({
                let mut random = Random::new(3);
                move |_| random.document()
            })
        };
        assert!(draw().eq(draw()));
    }
}
