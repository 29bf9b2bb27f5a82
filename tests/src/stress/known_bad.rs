//! Readers that go wrong in a known way: a stress in which they lose nothing proves nothing about ours.

use std::{collections::HashSet, fmt, time::Duration};

use ermine_testkit::pg::OwnedClient;
use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;

/// How a reader finds out how far it may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recipe {
    /// Up to the highest event that is visible.
    HighestVisible,
    /// The right two questions in the wrong order: first who is appending, then the last number.
    LocksFirst,
    /// The right mark, but the events are read in the same statement, with a snapshot that is older than the mark.
    OneStatement,
}

impl Recipe {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::HighestVisible, Self::LocksFirst, Self::OneStatement];
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HighestVisible => "mark = max(seq)",
            Self::LocksFirst => "locks read before the last number",
            Self::OneStatement => "mark and events in one statement",
        })
    }
}

pub(super) struct Reader {
    recipe: Recipe,
    client: OwnedClient,
    lock_class: i64,
    window: f64,
    position: i64,
    seen: HashSet<u64>,
}

impl Reader {
    pub(super) async fn new(recipe: Recipe, client: OwnedClient, window: Duration) -> Self {
        let row = client.query_one("select lock_class::bigint from ermine.store", &[]).await;
        let lock_class = row.expect("there is a store").get(0);
        Self { recipe, client, lock_class, window: window.as_secs_f64(), position: 0, seen: HashSet::new() }
    }

    /// Reads until told to stop, and then to the end: what it has not seen by then it never will.
    pub(super) async fn run(mut self, stop: CancellationToken) -> (Recipe, HashSet<u64>) {
        loop {
            let last_round = stop.is_cancelled();
            self.round().await.unwrap_or_else(|err| panic!("the reader \"{}\": {err:?}", self.recipe));
            if last_round {
                return (self.recipe, self.seen);
            }
        }
    }

    async fn round(&mut self) -> Result<(), tokio_postgres::Error> {
        match self.recipe {
            Recipe::HighestVisible => {
                self.client.execute("select pg_sleep($1)", &[&self.window]).await?;
                let sql = "select coalesce(max(seq), 0) from ermine.events";
                let mark: i64 = self.client.query_one(sql, &[]).await?.get(0);
                self.read_to(mark).await
            }
            Recipe::LocksFirst => {
                let sql = "select objid::bigint from pg_locks where locktype = 'advisory' and classid = $1::bigint::oid \
                           and objsubid = 2 and database = (select oid from pg_database where datname = current_database())";
                let keys = self.client.query(sql, &[&self.lock_class]).await?;
                self.client.execute("select pg_sleep($1)", &[&self.window]).await?;
                let sql = "select coalesce(pg_sequence_last_value('ermine.events_seq_seq'), 0)";
                let last: i64 = self.client.query_one(sql, &[]).await?.get(0);
                // A key is the lower half of a floor.
                let floors = keys.iter().map(|row| last - (((last - row.get::<_, i64>(0)) << 32) >> 32));
                self.read_to(floors.fold(last, i64::min)).await
            }
            Recipe::OneStatement => {
                let sql = "with waited as materialized (select pg_sleep($2)::text as nothing), \
                           m as materialized ( \
                             select least(h.last, (select min(f) from unnest(h.floors) f)) as mark from waited \
                             cross join lateral ermine.high_water(nullif(length(nothing), 0), null) h) \
                           select m.mark, e.seq from m left join lateral \
                             (select seq from ermine.events x where x.seq > $1 and x.seq <= m.mark) e on true";
                let rows = self.client.query(sql, &[&self.position, &self.window]).await?;
                let mark = rows.first().map_or(self.position, |row| row.get(0));
                self.take(mark, rows.iter().filter_map(|row| row.get(1)));
                Ok(())
            }
        }
    }

    async fn read_to(&mut self, mark: i64) -> Result<(), tokio_postgres::Error> {
        let sql = "select seq from ermine.events where seq > $1 and seq <= $2";
        let rows = self.client.query(sql, &[&self.position, &mark]).await?;
        self.take(mark, rows.iter().map(|row: &Row| row.get(0)));
        Ok(())
    }

    fn take(&mut self, mark: i64, seqs: impl Iterator<Item = i64>) {
        self.seen.extend(seqs.filter_map(|seq| u64::try_from(seq).ok()));
        self.position = self.position.max(mark);
    }
}
