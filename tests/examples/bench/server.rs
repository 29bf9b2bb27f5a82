//! The server that is measured: one of its own, as careful with its commits as a real one.

use anyhow::{Context, Result};
use ermine::prelude::*;
use ermine_testkit::pg::{OwnServer, OwnedClient, Settings};

use crate::trips::{self, Order, Trip};

/// Autovacuum is off, because it would visit some rounds and not others.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "4GB"),
    ("work_mem", "64MB"),
    ("maintenance_work_mem", "256MB"),
    ("autovacuum", "off"),
];

pub(crate) struct Server {
    server: OwnServer,
}

/// A database with a migrated store in it.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) client: OwnedClient,
    /// The table of the views, with its schema.
    pub(crate) views: String,
}

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        let server = OwnServer::start(Settings { fsync: true, tcp: false, extra: SETTINGS }).await;
        Ok(Self { server })
    }

    /// A connection that leaves no trace in the statistics of what is measured.
    pub(crate) async fn administrator(&self) -> OwnedClient {
        self.server.connect("postgres").await
    }

    /// A database with an empty store that knows the projection.
    pub(crate) async fn database(&self, name: &str) -> Result<Database> {
        self.administrator().await.batch_execute(&format!("create database {name}")).await?;
        let url = self.server.url(name);
        let once = Ermine::open(url.as_str()).project(single_stream::<Trip>(trips::PROJECTION));
        once.daemon(DaemonMode::Solo).start().await?.stop().await?;
        let client = self.server.connect(name).await;
        let views = "select table_name from ermine.projections where name = $1";
        let views: String = client.query_one(views, &[&trips::PROJECTION]).await?.try_get(0)?;
        Ok(Database { url, client, views: format!("ermine.{views}") })
    }

    /// The same with `streams` trips in its log.
    pub(crate) async fn with_trips(&self, name: &str, streams: i64, order: Order) -> Result<Database> {
        let database = self.database(name).await?;
        let seeding = format!("writing the log of {name}");
        trips::seed(&database.client, streams, order).await.context(seeding)?;
        database.client.batch_execute("vacuum (analyze)").await?;
        database.client.batch_execute("checkpoint").await?;
        Ok(database)
    }

    pub(crate) async fn drop_database(&self, name: &str) -> Result<()> {
        self.administrator().await.batch_execute(&format!("drop database {name} with (force)")).await?;
        Ok(())
    }
}
