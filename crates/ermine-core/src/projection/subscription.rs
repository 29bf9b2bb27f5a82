use std::{fmt, sync::Arc};

use async_trait::async_trait;
use smol_str::SmolStr;

use super::{
    Definition, Effects, Failures, Lifecycle, PageError, Projected, Registered, fan_out::FanOut,
    projected::Traits,
};
use crate::{DomainEvent, EventPage, Operation, Recorded, Result};

/// User code that is given the events in order and has effects.
///
/// Progress is stored after each page, so a page comes again when the process ends before that: at least once. What is put
/// into `effects` is committed with the progress instead: exactly once.
#[async_trait]
pub trait Subscriber: Send + Sync + 'static {
    /// The events it takes.
    type Event: DomainEvent;

    /// Handles the next events, in order. The next page comes when this one is committed.
    ///
    /// # Errors
    ///
    /// Whatever it has against an event: see [`PageError::at`]. The page comes again later.
    ///
    /// # Cancellation
    ///
    /// The future is dropped when the daemon ends before it is done; the page comes again then.
    async fn receive(
        &self,
        page: &[Recorded<Self::Event>],
        effects: &mut PageEffects,
    ) -> Result<(), PageError>;
}

/// Collects what a subscriber wants committed together with its progress.
#[derive(Debug)]
pub struct PageEffects {
    effects: Effects,
}

impl PageEffects {
    /// What `event` sets off.
    pub fn of<E>(&mut self, event: &Recorded<E>) -> &mut Effects {
        self.effects.of(event.raw(), true);
        &mut self.effects
    }
}

/// A subscription as the engine sees it; made by [`subscription`].
#[async_trait]
pub trait Subscription: Send + Sync + fmt::Debug {
    /// What it is called and what it wants.
    ///
    /// # Errors
    ///
    /// [`Configuration`](crate::ErrorKind::Configuration) with everything about it that cannot work.
    fn definition(&self) -> Result<Definition>;

    /// Hands over a page; answers with what shall be committed with the progress.
    ///
    /// # Errors
    ///
    /// The event that was refused.
    async fn receive(&self, page: Arc<EventPage>) -> std::result::Result<Vec<Operation>, Failures>;
}

/// Makes a subscription: `subscriber` is given the events in order.
pub fn subscription<S: Subscriber>(name: impl Into<SmolStr>, subscriber: S) -> Projected<Subscribed<S>> {
    Projected::new(name, Subscribed { subscriber })
}

/// A subscriber under a name: see [`subscription`].
pub struct Subscribed<S> {
    subscriber: S,
}

impl<S> fmt::Debug for Subscribed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribed").finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: Subscriber> Subscription for Projected<Subscribed<S>> {
    fn definition(&self) -> Result<Definition> {
        let traits = Traits {
            name: "subscription",
            lifecycles: &[Lifecycle::Async],
            types: super::EventTypes::of::<S::Event>(),
            view_type: None,
            has_views: false,
            is_per_stream: false,
            is_stream_state: false,
            needs_seq: None,
            native: None,
            looks_up: Vec::new(),
        };
        self.define(traits, |_| crate::Layout::Document)
    }

    async fn receive(&self, page: Arc<EventPage>) -> std::result::Result<Vec<Operation>, Failures> {
        let name = crate::ProjectionName::new(self.name.clone());
        let Ok(name) = name else { return Ok(Vec::new()) };
        let (events, _) = FanOut::<S::Event>::default().events(&page.events, None)?;
        let mut effects = PageEffects { effects: Effects::new(name, None) };
        match self.kind.subscriber.receive(&events, &mut effects).await {
            Ok(()) => Ok(effects.effects.into_raised().into_iter().map(|(_, operation)| operation).collect()),
            Err(refused) => match refused.into_failure(&page.events) {
                Some(failure) => Err(failure.into()),
                None => Ok(Vec::new()),
            },
        }
    }
}

impl<S: Subscriber> From<Projected<Subscribed<S>>> for Registered {
    fn from(subscription: Projected<Subscribed<S>>) -> Self {
        Self::Subscription(Arc::new(subscription))
    }
}
