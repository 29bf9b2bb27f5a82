//! Whole-system tests of Ermine live in `tests/it`.
