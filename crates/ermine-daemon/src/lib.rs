//! The engine of Ermine: follows the log of one store and keeps projections in step with it.
//!
//! The path of an event: the high-water driver observes the store and publishes the [`Mark`]; each shard's worker
//! loads pages up to it, folds them and commits views and progress together; the commit's answer is published to
//! whoever [waits](Handle::wait_for). The engine knows no SQL and no adapter: it sees the ports of `ermine-core`.

mod backoff;
mod builder;
mod control;
mod courier;
mod daemon;
mod errors;
mod handle;
mod health;
mod highwater;
mod inline;
mod lag;
mod letters;
mod live;
mod log;
mod mark;
mod metrics;
mod operate;
mod overseer;
mod pulse;
mod registry;
mod settings;
mod shard;
mod status;
mod stored;
mod tree;

pub use builder::DaemonBuilder;
pub use courier::Sink;
pub use daemon::Daemon;
pub use ermine_highwater::Policy;
pub use errors::{ErrorLine, ErrorTable};
pub use handle::Handle;
pub use health::{Health, LoopHealth, ShardHealth, Thresholds};
pub use inline::Inline;
pub use lag::{ShardLag, lag};
pub use letters::{Late, Letters, Retried, Retry};
pub use live::{Current, Until, aggregate_stream, fetch_latest};
pub use mark::Mark;
pub use registry::RegisteredProjection;
pub use settings::Settings;
pub use shard::Mode;
pub use status::{ShardState, ShardStatus, SlowCode};
pub use stored::{high_water_mark, highest, wait_for_stored};
