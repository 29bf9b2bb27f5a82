//! Every way into and out of a transaction that appends, looked at from the mark.
//!
//! Each test notes the pair (last number drawn, mark) relative to where it started.

mod copy;
mod isolation;
mod keys;
mod prepared;
mod refused;
mod statements;
mod transactions;

use ermine_testkit::pg::OwnedClient;

use crate::common::{Fixture, last_and_mark};

/// Appends `n` events to a stream of its own.
fn add(n: usize) -> String {
    format!(
        "select ermine.append('s' || gen_random_uuid(), null, array_fill('T'::text, array[{n}]), array_fill('{{}}'::json, array[{n}]))"
    )
}

/// An `insert` of a stranger, without its values; `v` gives them.
const INSERT: &str = "insert into ermine.events (stream_id, version, id, type, data) ";
const ROW: &str = "gen_random_uuid()::text, 1, gen_random_uuid(), 'T', '{}'";

/// Where the numbers began, to tell the story relative to it.
struct Scene {
    it: Fixture,
    start: u64,
}

impl Scene {
    async fn new() -> Self {
        let it = Fixture::new().await;
        let start = last_and_mark(&it.observe().await).0;
        Self { it, start }
    }

    /// Last number and mark, relative to the start.
    async fn look(&self) -> (u64, u64) {
        let (last, mark) = last_and_mark(&self.it.observe().await);
        (last - self.start, mark - self.start)
    }

    async fn session(&self) -> OwnedClient {
        self.it.sql().await
    }

    /// A session with a transaction open.
    async fn begun(&self) -> OwnedClient {
        let session = self.session().await;
        session.batch_execute("begin").await.unwrap();
        session
    }

    /// How many floor locks are held.
    async fn locks(&self) -> i64 {
        let sql = "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 2 \
                   and classid::int8 = (select lock_class from ermine.store) \
                   and database = (select oid from pg_database where datname = current_database())";
        self.session().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// The numbers of all events, relative to the start.
    async fn events(&self) -> Vec<i64> {
        let start = i64::try_from(self.start).unwrap();
        let rows =
            self.session().await.query("select seq from ermine.events order by seq", &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, i64>(0) - start).collect()
    }
}

async fn run(session: &OwnedClient, sql: &str) {
    session.batch_execute(sql).await.unwrap_or_else(|err| panic!("{sql}: {:?}", err.as_db_error()));
}

/// The code and text of the error that `sql` ends in.
async fn refusal(session: &OwnedClient, sql: &str) -> (String, String) {
    let Err(error) = session.batch_execute(sql).await else { panic!("{sql} was not refused") };
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}")).clone();
    (error.code().code().to_owned(), error.message().to_owned())
}
