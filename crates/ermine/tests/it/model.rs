//! Whatever is appended, in pages of whatever size, through restarts and faults: stored views are a plain fold of all
//! events; and whatever is asked of them, every store gives the same answer.

mod documents;
mod folds;
mod live;
mod projections;
mod story;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestCaseError, TestRunner},
};

/// Runs an async property on `cases` random values, or on as many as `PROPTEST_CASES` says.
fn for_all<S: Strategy>(
    cases: u32,
    values: S,
    property: impl AsyncFn(S::Value) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut config = Config { max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let outcome = TestRunner::new(config).run(&values, |value| runtime.block_on(property(value)));
    if let Err(found) = outcome {
        panic!("{found}");
    }
}

/// An error of the store or the engine where none may be.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
fn unexpected(error: ermine::Error) -> TestCaseError {
    TestCaseError::fail(error.chain())
}
