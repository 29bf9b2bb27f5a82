//! Hosts on databases of a test's own.

use std::time::Duration;

use ermine::{Ermine, core::Position, core::Seq, prelude::DaemonMode};
use ermine_tests::trail::{self, Log};

/// Long enough for a machine that compiles at the same time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A host that runs the projections of [`trail`].
pub(crate) async fn start(url: &str) -> Ermine {
    trail::project(Ermine::open(url), "").daemon(DaemonMode::Solo).start().await.unwrap()
}

/// Appends one note by SQL, in whatever transaction the client is.
pub(crate) async fn note(client: &tokio_postgres::Client, stream: &str) -> Position {
    let sql = "select ermine.append($1, null, array['note.noted'], array['{\"bucket\":0}'::json])";
    Position::new(Seq::from_i64(client.query_one(sql, &[&stream]).await.unwrap().get(0)))
}

/// Asserts that the views are what a plain fold makes of the log.
pub(crate) async fn assert_views(client: &ermine_testkit::pg::OwnedClient, host: &Ermine) {
    let wrong = Log::read(client).await.compare(host).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}
