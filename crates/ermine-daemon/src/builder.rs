use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use ermine_core::{
    Clock, DeadLetters, Error, ErrorHandling, ErrorPolicy, EventFilter, Registered, Result, ShardName,
    SystemClock,
    ports::{Store, archived_type},
};
use ermine_highwater::Policy;
use tokio::sync::{Notify, watch};

use crate::{
    Daemon, Handle, Inline, Mode, Settings, ShardStatus, Sink,
    control::{Control, Controls},
    courier::Courier,
    handle::ShardHandle,
    highwater::HighWater,
    log::Log,
    overseer::{Overseer, Watched},
    pulse::Pulse,
    registry::{Registry, Work},
    shard::{Busy, Shard, Worker, rewinds},
};

/// Puts a daemon together; [`build`](DaemonBuilder::build) checks it.
#[must_use = "a builder does nothing until it is built"]
pub struct DaemonBuilder {
    store: Arc<dyn Store>,
    registered: Vec<Registered>,
    sink: Option<Arc<dyn Sink>>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    policy: Option<Policy>,
    errors: ErrorHandling,
    mode: Mode,
}

impl fmt::Debug for DaemonBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DaemonBuilder")
            .field("store", &self.store)
            .field("registered", &self.registered)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl DaemonBuilder {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            registered: Vec::new(),
            sink: None,
            settings: Settings::default(),
            clock: Arc::new(SystemClock),
            policy: None,
            errors: ErrorHandling::default(),
            mode: Mode::Continuous,
        }
    }

    /// Adds a projection, a composite or a subscription.
    pub fn projection(mut self, projection: impl Into<Registered>) -> Self {
        self.registered.push(projection.into());
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

    /// All that is said about failures at once.
    pub fn error_handling(mut self, errors: ErrorHandling) -> Self {
        self.errors = errors;
        self
    }

    /// Rules about failures of all its projections in runs that follow the log; those of a projection come first.
    pub fn errors(mut self, policy: ErrorPolicy) -> Self {
        self.errors.continuous = policy;
        self
    }

    /// The same for runs that end: rebuilds, and catching up.
    pub fn rebuild_errors(mut self, policy: ErrorPolicy) -> Self {
        self.errors.rebuild = policy;
        self
    }

    /// What becomes of events that are passed because they failed, where a projection does not say. Default:
    /// [`DeadLetters::skip`].
    pub fn dead_letters(mut self, letters: DeadLetters) -> Self {
        self.errors.dead_letters = Some(letters);
        self
    }

    /// Whether it follows the log for ever. Default: [`Mode::Continuous`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Where messages of the outbox go after their commit. Without a sink they stay there.
    pub fn sink(mut self, sink: Arc<dyn Sink>) -> Self {
        self.sink = Some(sink);
        self
    }

    /// Checks everything and makes the daemon.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ermine_core::ErrorKind::Configuration) that lists everything that cannot work: names that
    /// are no names, two projections of one name and version, two that own one table, a lifecycle that a kind does not
    /// have, upstreams that are not registered or wait for each other, settings that contradict each other.
    pub fn build(self) -> Result<Daemon> {
        let mut registry = Registry::new(&self.registered, &self.settings, &self.errors, self.store.kind())?;
        if self.sink.is_some() && self.store.outbox().is_none() {
            return Err(Error::configuration(format!(
                "there is a sink for messages, and the store \"{}\" has no outbox",
                self.store.kind()
            )));
        }
        // A rebuild has no effects, and a subscription has nothing else: nobody waits for one there.
        if matches!(self.mode, Mode::Rebuild { .. }) {
            registry.shards.retain(|shard| matches!(shard.work, Work::Stages(_)));
        }
        let (marks, mark) = watch::channel(None);
        let settings = Arc::new(self.settings);
        let (trouble, troubled) = watch::channel(None);
        let pages_loaded = Arc::new(AtomicU64::new(0));
        let all = registry.shards.iter().flat_map(|s| s.filter.wanted().iter().cloned());
        let known = registry.known.iter().cloned().chain([archived_type()]);
        let log = Arc::new(Log::new(self.store.clone(), &settings, EventFilter::new(all, known)));
        let (published, rung) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let statuses: HashMap<ShardName, Arc<watch::Sender<ShardStatus>>> = registry
            .shards
            .iter()
            .map(|s| (s.name.clone(), Arc::new(watch::Sender::new(ShardStatus::starting(s.name.clone())))))
            .collect();
        let upstreams = |shard: &Shard| -> Vec<Arc<watch::Sender<ShardStatus>>> {
            shard.after.iter().filter_map(|name| statuses.get(name).cloned()).collect()
        };
        let has_wishes = self.store.wishes().is_some();
        let controls: Controls =
            registry.shards.iter().map(|shard| Control::new(shard.name.clone(), has_wishes)).collect();
        let keep_letters =
            registry.shards.iter().map(|shard| shard.errors.dead_letters().keep_replayed).max();
        let mut watched = Vec::with_capacity(registry.shards.len());
        let mut workers = Vec::with_capacity(registry.shards.len());
        let mut shards = Vec::with_capacity(registry.shards.len());
        for (shard, control) in registry.shards.into_iter().zip(controls.iter()) {
            let (rewind, rewinds) = rewinds();
            let busy = Arc::<Busy>::default();
            let status = statuses[&shard.name].clone();
            watched.push(Watched { status: status.clone(), busy: busy.clone() });
            shards.push(ShardHandle {
                errors: shard.errors.clone(),
                late: shard.late(),
                control: control.clone(),
                upstreams: upstreams(&shard).iter().map(|upstream| upstream.subscribe()).collect(),
                status: status.subscribe(),
                rewind: matches!(shard.work, Work::Subscription(_)).then_some(rewind),
            });
            workers.push(Worker {
                status,
                upstreams: upstreams(&shard),
                settings: Arc::new(settings.with(shard.options)),
                shard: Arc::new(shard),
                store: self.store.clone(),
                clock: self.clock.clone(),
                marks: mark.clone(),
                pages_loaded: pages_loaded.clone(),
                log: log.clone(),
                published: published.clone(),
                rewinds,
                control: control.clone(),
                controls: controls.clone(),
                busy,
                mode: self.mode,
            });
        }
        let courier = self.sink.map(|sink| {
            Arc::new(Courier { store: self.store.clone(), sink, settings: settings.clone(), published })
        });
        let (highwater_pulse, overseer_pulse) = (Pulse::new(), Pulse::new());
        let overseer = Arc::new(Overseer {
            store: self.store.clone(),
            settings: settings.clone(),
            clock: self.clock.clone(),
            marks: mark.clone(),
            controls,
            watched,
            rung: rung.clone(),
            pulse: overseer_pulse.clone(),
            keep_letters: keep_letters.unwrap_or(DeadLetters::skip().keep_replayed),
            seen: Mutex::new(None),
        });
        Ok(Daemon {
            overseer,
            handle: Handle {
                clock: self.clock,
                pulses: [("high-water driver", highwater_pulse.clone()), ("overseer", overseer_pulse)],
                shards: shards.into(),
                marks: mark,
                troubled,
                store: self.store.clone(),
                log,
                call_deadline: settings.call_deadline,
            },
            inline: Inline::new(self.store.clone(), registry.inline),
            projections: registry.projections,
            highwater: HighWater {
                store: self.store,
                settings,
                policy: self.policy,
                registration: registry.registration,
                known: registry.known,
                marks,
                trouble,
                pages_loaded,
                rung,
                pulse: highwater_pulse,
            },
            workers,
            courier,
            mode: self.mode,
        })
    }
}
