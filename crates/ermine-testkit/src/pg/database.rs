//! A database of its own for each test.

use std::{
    panic::resume_unwind,
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::SystemTime,
};

use super::{Address, Cluster, OwnedClient};

/// An empty database on the shared cluster, named after the test and dropped with this value.
///
/// When the test panics the database stays, and its URL is printed. Roles and the names of prepared transactions belong
/// to the cluster, not to the database: derive them from [`name`](Self::name).
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
}

impl TestDatabase {
    /// Creates the database; the first call of a process also starts or joins the cluster.
    ///
    /// # Panics
    ///
    /// When there is no PostgreSQL, or it refuses; the message says why.
    pub async fn create() -> Self {
        let name = unique_name(thread::current().name().unwrap_or("test"));
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await;
        let cluster = cluster.unwrap_or_else(|err| resume_unwind(err.into_panic())); // it has said why
        let admin = administrator(cluster.address()).await;
        let sql = create_statement(&admin, &name).await;
        admin
            .batch_execute(&sql)
            .await
            .unwrap_or_else(|err| panic!("cannot create the database {name}: {err:?}"));
        Self { name }
    }

    /// The database's name: that of the test, with something to make it unique.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on.
    pub fn address(&self) -> &'static Address {
        Cluster::shared().address()
    }

    /// The database as a `postgres://` URL.
    pub fn url(&self) -> String {
        self.address().url(&self.name)
    }

    /// The database as `key=value` pairs.
    pub fn conninfo(&self) -> String {
        self.address().conninfo(&self.name)
    }

    /// A connection of the test's own, as superuser.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    pub async fn connect(&self) -> OwnedClient {
        let connected = OwnedClient::connect(&self.url()).await;
        connected.unwrap_or_else(|err| panic!("cannot connect to {}: {err:?}", self.url()))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the database of the failed test is kept for a while: {}", self.url());
            return;
        }
        let address = self.address();
        let sql = format!("drop database if exists \"{}\" with (force)", self.name);
        // On a thread of its own, because this may run inside a runtime, which must not block. A database that stays
        // is harmless: its cluster goes away.
        let dropper = thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async { administrator(address).await.batch_execute(&sql).await })
        });
        if let Ok(Err(err)) = dropper.join() {
            eprintln!("cannot drop the database {}: {err:?}", self.name);
        }
    }
}

async fn administrator(address: &Address) -> OwnedClient {
    let url = address.url("postgres");
    OwnedClient::connect(&url).await.unwrap_or_else(|err| panic!("cannot connect to {url}: {err:?}"))
}

/// Copying files is three times faster than the default, which writes all of the template to the log. New in 15.
async fn create_statement(admin: &OwnedClient, name: &str) -> String {
    let row = admin.query_one("select current_setting('server_version_num')::int4", &[]).await;
    let version: i32 = row.expect("every server tells its version").get(0);
    let strategy = if version >= 150_000 { "strategy file_copy" } else { "" };
    format!("create database \"{name}\" template template0 {strategy}")
}

/// At most 63 bytes, which is all that PostgreSQL keeps; the time tells runs on a lasting server apart.
fn unique_name(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    const TEST_BYTES_MAX: usize = 32;
    let test = test.rsplit("::").next().unwrap_or(test).replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let test = &test[..test.len().min(TEST_BYTES_MAX)];
    let seconds = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |age| age.as_secs());
    format!("{test}_{seconds:x}_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
