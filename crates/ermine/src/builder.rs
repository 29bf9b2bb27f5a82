use std::{sync::Arc, time::Duration};

use ermine_core::{DaemonMode, Error, Projection, Result, ports::Store};
use ermine_daemon::{Daemon, DaemonBuilder, Settings};

use crate::{Ermine, open::open};

/// Puts a host together: a store, projections, and whether this process runs them.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct ErmineBuilder {
    store: StoreChoice,
    projections: Vec<Arc<dyn Projection>>,
    mode: DaemonMode,
    settings: Settings,
    migrate: bool,
    wait_timeout: Duration,
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
            projections: Vec::new(),
            mode: DaemonMode::Disabled,
            settings: Settings::default(),
            migrate: true,
            wait_timeout: Duration::from_secs(30),
        }
    }

    /// Registers a projection.
    pub fn project(mut self, projection: impl Projection + 'static) -> Self {
        self.projections.push(Arc::new(projection));
        self
    }

    /// Whether this process runs the projections. Default: [`DaemonMode::Disabled`], it does not.
    pub fn daemon(mut self, mode: DaemonMode) -> Self {
        self.mode = mode;
        self
    }

    /// How the daemon spends memory and time.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
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
        let store = match self.store {
            StoreChoice::Open(store) => store,
            StoreChoice::Url(url) => open(&url).await?,
        };
        let definitions = self.projections.iter().map(|p| p.definition()).collect::<Result<Vec<_>>>();
        let daemon = self
            .projections
            .into_iter()
            .fold(Daemon::builder(store.clone()), DaemonBuilder::projection)
            .settings(self.settings)
            .build()?;
        if self.migrate {
            store.migrate(daemon.registration()).await?;
        }
        store.check(daemon.registration()).await?;
        let daemon = match self.mode {
            DaemonMode::Solo => Some(daemon),
            DaemonMode::Disabled => {
                let idle = daemon.handle().status().len();
                if idle > 0 {
                    tracing::warn!(
                        projections = idle,
                        "no daemon runs here: views stay as they are unless another process runs them; \
                         add .daemon(DaemonMode::Solo) to run them in this one"
                    );
                }
                None
            }
            other => {
                return Err(Error::configuration(format!("the daemon mode {other:?} is not known here")));
            }
        };
        Ok(Ermine::new(store, definitions?, daemon, self.wait_timeout))
    }
}
