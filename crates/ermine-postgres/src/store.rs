use std::{fmt, sync::Arc};

use ermine_core::{Result, ViewTable, ports};

use crate::{
    MarkStrategy, PostgresOptions, SchemaName,
    control::{self, Control, Line},
    error, native,
    pool::{Loan, Pool},
    sql::Statements,
    target::Target,
    view_sql::{ViewSql, ViewSqls},
};

/// A store on PostgreSQL. Clones share its connections, which end with the last of them.
///
/// It needs a Tokio runtime with time and network, and belongs to the one in which it was opened.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) schema: SchemaName,
    pub(crate) sql: Statements,
    pub(crate) views: ViewSqls,
    pub(crate) pool: Pool,
    pub(crate) control: Control,
    pub(crate) strategy: MarkStrategy,
    /// COPY needs a named statement, which a pooler in transaction mode may lose.
    pub(crate) may_copy: bool,
    pub(crate) target: Target,
    pub(crate) control_target: Target,
}

impl Store {
    /// Opens the store at `url` with the default settings; see [`Store::builder`].
    ///
    /// # Errors
    ///
    /// Those of [`PostgresOptions::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Self> {
        Self::builder(url).connect().await
    }

    /// Settings for a store at `url`: `postgres://user:password@host:port/database`, where the host may be a
    /// percent-encoded directory of sockets. `sslmode` means what it means to libpq.
    pub fn builder(url: impl Into<String>) -> PostgresOptions {
        PostgresOptions::new(url)
    }

    pub(crate) async fn open(options: PostgresOptions) -> Result<Self> {
        let checked = options.checked()?;
        let sql = Statements::new(&checked.schema);
        let observe = match options.strategy {
            MarkStrategy::Floors => &sql.high_water,
            MarkStrategy::SequenceLock => &sql.high_water_holders,
        };
        let needed = control::Statements { lock_class: sql.lock_class.clone(), observe: observe.clone() };
        // The control connection goes first: it says at once what is wrong.
        let control = Control::open(checked.control.clone(), checked.session, needed).await?;
        let pool = Pool::new(checked.data.clone(), checked.data_session, options.pool_size);
        Ok(Self {
            inner: Arc::new(Inner {
                views: ViewSqls::new(checked.schema.clone()),
                schema: checked.schema,
                sql,
                pool,
                control,
                strategy: options.strategy,
                may_copy: !options.transaction_pooler,
                target: checked.data,
                control_target: checked.control,
            }),
        })
    }

    /// The schema that holds the store.
    #[must_use]
    pub fn schema(&self) -> &SchemaName {
        &self.inner.schema
    }

    pub(crate) async fn loan(&self) -> Result<Loan<'_>> {
        self.inner.pool.get().await
    }

    /// The control session of a migrated store; opened anew when it was opened before there was one.
    pub(crate) async fn line(&self) -> Result<Arc<Line>> {
        let line = self.inner.control.line().await?;
        if line.is_ready() {
            return Ok(line);
        }
        let line = self.inner.control.renew(&line).await?;
        match line.refusal(&self.place()) {
            Some(refusal) => Err(refusal),
            None => Ok(line),
        }
    }

    pub(crate) fn view_sql(&self, table: &ViewTable) -> Arc<ViewSql> {
        self.inner.views.of(table)
    }

    /// Where the store is, for messages.
    pub(crate) fn place(&self) -> String {
        format!("{}, schema \"{}\"", self.inner.target, self.inner.schema)
    }
}

impl ports::Store for Store {
    fn kind(&self) -> &'static str {
        native::KIND
    }

    fn stream_admin(&self) -> Option<&dyn ports::StreamAdmin> {
        Some(self)
    }

    fn outbox(&self) -> Option<&dyn ports::Outbox> {
        Some(self)
    }

    fn dead_letters(&self) -> Option<&dyn ports::DeadLetterStore> {
        Some(self)
    }

    fn wishes(&self) -> Option<&dyn ports::WishStore> {
        Some(self)
    }

    fn is_passing(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        error::is_passing(error)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("target", &self.inner.target)
            .field("schema", &self.inner.schema)
            .field("strategy", &self.inner.strategy)
            .field("pool", &self.inner.pool)
            .field("control", &self.inner.control)
            .finish()
    }
}
