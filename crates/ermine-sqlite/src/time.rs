//! Moments as the tables keep them: microseconds since 1970.

use ermine_core::Timestamp;

use crate::error::{Fault, Outcome};

/// This machine's clock, which is the store's.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    // What is answered is what will be read.
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

pub(crate) fn from_column(microseconds: i64) -> Outcome<Timestamp> {
    Timestamp::from_microsecond(microseconds)
        .map_err(|_| Fault::Garbled(format!("{microseconds} microseconds since 1970 are no moment")))
}

/// The first microsecond that is not before `moment`.
pub(crate) fn ceiling(moment: Timestamp) -> i64 {
    let microsecond = moment.as_microsecond();
    match from_column(microsecond) {
        Ok(before) if before < moment => microsecond.saturating_add(1),
        _ => microsecond,
    }
}

/// As it stands in a column of a flat table: text that sorts as moments do.
pub(crate) fn to_text(moment: Timestamp) -> String {
    format!("{moment:.6}")
}
