use std::{fmt, time::Duration};

use ermine_core::{Error, Result};

use crate::{
    SchemaName, Store,
    target::{Session, Target},
};

/// How a store on PostgreSQL is opened; made by [`Store::builder`].
#[derive(Clone)]
#[must_use = "nothing happens before `connect`"]
pub struct PostgresOptions {
    pub(crate) url: String,
    pub(crate) control: Option<String>,
    pub(crate) schema: String,
    pub(crate) pool_size: u32,
    pub(crate) statement_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) application_name: Option<String>,
    pub(crate) transaction_pooler: bool,
    pub(crate) strategy: MarkStrategy,
}

/// How the store knows that a number can no longer become an event. One store uses one of them, for all its observers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MarkStrategy {
    /// Every append holds a lock on the last number before its own first one. Exact to the transaction.
    #[default]
    Floors,
    /// The lock that PostgreSQL itself holds on the sequence until a transaction ends. Exact as well and independent of
    /// the triggers (which stay installed and are not looked at), but coarser: the mark may lag by a poll or two, and a
    /// fresh observer waits for everybody who has touched the sequence.
    SequenceLock,
}

impl PostgresOptions {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            control: None,
            schema: SchemaName::default().as_str().to_owned(),
            pool_size: 8,
            statement_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            application_name: None,
            transaction_pooler: false,
            strategy: MarkStrategy::default(),
        }
    }

    /// The schema that holds the store; `ermine` unless told otherwise.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = name.into();
        self
    }

    /// Another way to the same database for the control connection: direct, where the other one goes through a pooler.
    pub fn control(mut self, url: impl Into<String>) -> Self {
        self.control = Some(url.into());
        self
    }

    /// The most data connections, at least 1; 8 unless told otherwise. The control connection comes on top.
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.pool_size = connections;
        self
    }

    /// How long the server may work on one statement; 30 s unless told otherwise.
    pub fn statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = limit;
        self
    }

    /// How long opening a connection, or waiting for a free one, may take; 10 s unless told otherwise.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// What the sessions call themselves in `pg_stat_activity`; `ermine` unless the URL says otherwise.
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// Whether the data connections go through a pooler in transaction mode: then statements are not prepared, and
    /// sessions get no settings. Where the server's defaults were changed, give the role these instead:
    /// `default_transaction_isolation` (`read committed`) and `extra_float_digits` (at least 1, or real columns come back
    /// with fewer digits). A `statement_timeout` it needs in any case.
    ///
    /// The control connection must not go through it: see [`control`](Self::control). A pooler in session mode is not
    /// meant here; one that refuses the settings of sessions must ignore them (PgBouncer: `ignore_startup_parameters =
    /// options`), and then the role needs the same.
    pub fn transaction_pooler(mut self, yes: bool) -> Self {
        self.transaction_pooler = yes;
        self
    }

    /// How the store knows that a number can no longer become an event.
    pub fn strategy(mut self, strategy: MarkStrategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Opens the store: checks the settings and opens the control connection. The store need not be migrated yet.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) for a URL, user, password, database or setting that cannot
    /// work; [`Refused`](ermine_core::ErrorKind::Refused) for a server older than 14;
    /// [`Transient`](ermine_core::ErrorKind::Transient) when the server does not answer. Each names host, user and
    /// database, and the way out.
    pub async fn connect(self) -> Result<Store> {
        Store::open(self).await
    }

    pub(crate) fn checked(&self) -> Result<Checked> {
        if self.pool_size == 0 {
            return Err(Error::configuration("pool_size is 0: the store needs at least one connection"));
        }
        if self.statement_timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(Error::configuration(
                "a timeout of 0 leaves no time for anything: use at least 1 ms",
            ));
        }
        let session = Session {
            application_name: self.application_name.clone().unwrap_or_else(|| "ermine".into()),
            application_name_given: self.application_name.is_some(),
            connect_timeout: self.connect_timeout,
            statement_timeout: self.statement_timeout,
            behind_pooler: false,
        };
        let data_session = Session { behind_pooler: self.transaction_pooler, ..session.clone() };
        let control = self.control.as_deref().unwrap_or(&self.url);
        Ok(Checked {
            schema: SchemaName::new(self.schema.as_str())?,
            data: Target::parse(&self.url)?.with_session(&data_session),
            control: Target::parse(control)?.with_session(&session),
            session,
            data_session,
        })
    }
}

/// Settings that hold together.
pub(crate) struct Checked {
    pub(crate) schema: SchemaName,
    pub(crate) data: Target,
    pub(crate) control: Target,
    pub(crate) session: Session,
    pub(crate) data_session: Session,
}

/// Leaves the URLs out, because they may hold passwords.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("data", &Target::parse(&self.url).ok())
            .field("control", &self.control.as_deref().and_then(|url| Target::parse(url).ok()))
            .field("schema", &self.schema)
            .field("pool_size", &self.pool_size)
            .field("statement_timeout", &self.statement_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("application_name", &self.application_name)
            .field("transaction_pooler", &self.transaction_pooler)
            .field("strategy", &self.strategy)
            .finish()
    }
}
