use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use ermine_core::{
    Clock, Definition, Error, Projection, Result, SystemClock, TypeName,
    ports::{Registration, Store},
};
use ermine_highwater::Policy;
use tokio::sync::watch;

use crate::{
    Daemon, Handle, Mode, Settings, ShardStatus,
    highwater::HighWater,
    shard::{Shard, Worker},
};

/// Puts a daemon together; [`build`](DaemonBuilder::build) checks it.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct DaemonBuilder {
    store: Arc<dyn Store>,
    projections: Vec<Arc<dyn Projection>>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    policy: Option<Policy>,
    mode: Mode,
}

impl DaemonBuilder {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            projections: Vec::new(),
            settings: Settings::default(),
            clock: Arc::new(SystemClock),
            policy: None,
            mode: Mode::Continuous,
        }
    }

    /// Adds a projection.
    pub fn projection(mut self, projection: Arc<dyn Projection>) -> Self {
        self.projections.push(projection);
        self
    }

    /// How it spends memory and time.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Whose time it tells in its status.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How numbers are proved settled. Default: whatever is exact for the evidence that the store gives. Policies that
    /// go by the clock have to be asked for.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Whether it follows the log for ever. Default: [`Mode::Continuous`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Checks everything and makes the daemon.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) that lists everything that cannot work: names that
    /// are no names, two projections of one name and version, settings that contradict each other.
    pub fn build(self) -> Result<Daemon> {
        let definitions = definitions(&self.projections, &self.settings)?;
        let known: Vec<TypeName> = definitions.iter().flat_map(|d| d.types.iter().cloned()).collect();
        let registration = Registration { tables: definitions.iter().map(|d| d.table().into()).collect() };
        let (marks, mark) = watch::channel(None);
        let settings = Arc::new(self.settings);
        let (trouble, troubled) = watch::channel(None);
        let pages_loaded = Arc::new(AtomicU64::new(0));
        let mut workers = Vec::with_capacity(definitions.len());
        for (projection, definition) in self.projections.into_iter().zip(&definitions) {
            let shard = Arc::new(Shard::new(projection, definition, &known));
            workers.push(Worker {
                status: Arc::new(watch::Sender::new(ShardStatus::starting(shard.name.clone()))),
                shard,
                store: self.store.clone(),
                settings: settings.clone(),
                clock: self.clock.clone(),
                marks: mark.clone(),
                pages_loaded: pages_loaded.clone(),
                mode: self.mode,
            });
        }
        let shards = workers.iter().map(|w| w.status.subscribe()).collect();
        Ok(Daemon {
            handle: Handle { shards, marks: mark, troubled },
            highwater: HighWater {
                store: self.store,
                settings,
                policy: self.policy,
                registration,
                known,
                marks,
                trouble,
                pages_loaded,
            },
            workers,
        })
    }
}

/// What all projections say of themselves, or everything that is wrong with them.
fn definitions(projections: &[Arc<dyn Projection>], settings: &Settings) -> Result<Vec<Definition>> {
    let mut faults: Vec<String> = Vec::new();
    faults.extend(settings.check().err().map(|e| e.to_string()));
    let mut definitions = Vec::with_capacity(projections.len());
    for projection in projections {
        match projection.definition() {
            Ok(definition) => definitions.push(definition),
            Err(error) => faults.push(error.chain()),
        }
    }
    let mut times = BTreeMap::new();
    for definition in &definitions {
        *times.entry(definition.shard()).or_insert(0) += 1;
    }
    for (shard, times) in times.into_iter().filter(|(_, times)| *times > 1) {
        faults.push(format!(
            "projection \"{}\" version {} is registered {times} times: give each a name or a version of its own",
            shard.projection(),
            shard.version()
        ));
    }
    if faults.is_empty() { Ok(definitions) } else { Err(Error::configuration(faults.join("; "))) }
}
