use std::{sync::Arc, time::Duration};

use ermine_core::{
    Clock, DaemonMode, DeadLetters, Error, ErrorHandling, ErrorPolicy, IdSource, RandomIds, Registered,
    Result, SystemClock, ports::Store,
};
use ermine_daemon::{Daemon, DaemonBuilder, Mode, Settings, Sink};

use crate::{Ermine, open::open};

/// Puts a host together: a store, projections, and whether this process runs them.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct ErmineBuilder {
    store: StoreChoice,
    mode: DaemonMode,
    migrate: bool,
    pub(crate) plan: DaemonPlan,
    pub(crate) wait_timeout: Duration,
    pub(crate) ids: Arc<dyn IdSource>,
}

/// What a daemon is made of; a host may make several, one after the other.
#[derive(Clone)]
pub(crate) struct DaemonPlan {
    registered: Vec<Registered>,
    settings: Settings,
    sink: Option<Arc<dyn Sink>>,
    clock: Arc<dyn Clock>,
    errors: ErrorHandling,
}

impl DaemonPlan {
    pub(crate) fn build(&self, store: &Arc<dyn Store>, mode: Mode) -> Result<Daemon> {
        let builder =
            Daemon::builder(store.clone()).settings(self.settings.clone()).clock(self.clock.clone());
        let builder = builder.error_handling(self.errors.clone());
        let builder = self.registered.iter().cloned().fold(builder, DaemonBuilder::projection).mode(mode);
        match &self.sink {
            Some(sink) => builder.sink(sink.clone()).build(),
            None => builder.build(),
        }
    }
}

impl std::fmt::Debug for DaemonPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DaemonPlan").field("registered", &self.registered).finish_non_exhaustive()
    }
}

enum StoreChoice {
    Url(String),
    Open(Arc<dyn Store>),
}

/// A URL may hold a password.
impl std::fmt::Debug for StoreChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(..)"),
            Self::Open(store) => store.fmt(f),
        }
    }
}

impl ErmineBuilder {
    pub(crate) fn url(url: String) -> Self {
        Self::new(StoreChoice::Url(url))
    }

    pub(crate) fn store(store: Arc<dyn Store>) -> Self {
        Self::new(StoreChoice::Open(store))
    }

    fn new(store: StoreChoice) -> Self {
        Self {
            store,
            mode: DaemonMode::Disabled,
            migrate: true,
            plan: DaemonPlan {
                registered: Vec::new(),
                settings: Settings::default(),
                sink: None,
                clock: Arc::new(SystemClock),
                errors: ErrorHandling::default(),
            },
            wait_timeout: Duration::from_secs(30),
            ids: Arc::new(RandomIds),
        }
    }

    /// Registers a projection, a composite or a subscription.
    pub fn project(mut self, projection: impl Into<Registered>) -> Self {
        self.plan.registered.push(projection.into());
        self
    }

    /// Where messages that projections and subscriptions publish go after their commit. Without a sink they stay in the
    /// outbox.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.plan.sink = Some(Arc::new(sink));
        self
    }

    /// Rules about failures of all projections, where the daemon follows the log; those of a projection come first, the
    /// defaults last.
    pub fn errors(mut self, policy: ErrorPolicy) -> Self {
        self.plan.errors.continuous = policy;
        self
    }

    /// The same for runs that end: rebuilds, and catching up.
    pub fn rebuild_errors(mut self, policy: ErrorPolicy) -> Self {
        self.plan.errors.rebuild = policy;
        self
    }

    /// What becomes of events that are passed because they failed, where a projection does not say. Default:
    /// [`DeadLetters::skip`].
    pub fn dead_letters(mut self, letters: DeadLetters) -> Self {
        self.plan.errors.dead_letters = Some(letters);
        self
    }

    /// Whose time the daemon tells in its status. When events are recorded is told by the store's clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.plan.clock = clock;
        self
    }

    /// Where the ids of appended events come from. Default: [`RandomIds`].
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = ids;
        self
    }

    /// Whether this process runs the projections. Default: [`DaemonMode::Disabled`], it does not.
    pub fn daemon(mut self, mode: DaemonMode) -> Self {
        self.mode = mode;
        self
    }

    /// How the daemon spends memory and time.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.plan.settings = settings;
        self
    }

    /// Whether starting may change the store's schema. Default: it does; a role without the right to do so wants
    /// `false`, and somebody else to migrate first.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// How long [`Ermine::wait_for`] waits. Default 30 s.
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = timeout;
        self
    }

    /// Opens the store, migrates and checks it, and starts the daemon where there is to be one.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) when something registered cannot work, all of it in one
    /// message; [`Refused`](ermine_core::ErrorKind::Refused) when the store's promises do not hold, with the remedy; and
    /// what the connection says.
    pub async fn start(self) -> Result<Ermine> {
        let store = match &self.store {
            StoreChoice::Open(store) => store.clone(),
            StoreChoice::Url(url) => open(url).await?,
        };
        let daemon = self.plan.build(&store, Mode::Continuous)?;
        if self.migrate {
            store.migrate(daemon.registration()).await?;
        }
        store.check(daemon.registration()).await?;
        let runs = match self.mode {
            DaemonMode::Solo => true,
            DaemonMode::Disabled => {
                let idle = daemon.handle().status().len();
                if idle > 0 {
                    tracing::warn!(
                        projections = idle,
                        "no daemon runs here: views stay as they are unless another process runs them; \
                         add .daemon(DaemonMode::Solo) to run them in this one"
                    );
                }
                false
            }
            other => {
                return Err(Error::configuration(format!("the daemon mode {other:?} is not known here")));
            }
        };
        Ok(Ermine::new(store, daemon, runs, self))
    }
}
