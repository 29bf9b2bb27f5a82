use std::sync::Arc;

use super::{
    Failure, Failures, Looked,
    failures::Gathered,
    grouped::{decode, user_code},
};
use crate::{DomainEvent, Event, Recorded};

type Children<E> = Box<dyn Fn(&Recorded<E>) -> Option<Vec<E>> + Send + Sync>;

/// How events are replaced by their children, before or after they are grouped.
pub(super) struct FanOut<E> {
    pub(super) before: Option<Children<E>>,
    pub(super) after: Option<Children<E>>,
}

impl<E> Default for FanOut<E> {
    fn default() -> Self {
        Self { before: None, after: None }
    }
}

/// Decoded events, and for each the place of the event of the page that it comes from.
pub(super) type Decoded<E> = (Vec<Recorded<E>>, Vec<usize>);

impl<E: DomainEvent> FanOut<E> {
    /// The events of a page, those with children replaced by them.
    pub(super) fn events(
        &self,
        page: &[Event],
        looked: Option<&Arc<Looked>>,
    ) -> Result<Decoded<E>, Failures> {
        let mut failed = Gathered::default();
        let mut events = Vec::with_capacity(page.len());
        let mut origins = Vec::with_capacity(page.len());
        for (at, raw) in page.iter().enumerate() {
            let decoded = decode::<E>(raw, looked)
                .and_then(|event| Ok((children(self.before.as_ref(), &event, raw)?, event)));
            match failed.keep(decoded) {
                None => {}
                Some((Some(children), _)) => {
                    for child in children {
                        events.push(child);
                        origins.push(at);
                    }
                }
                Some((None, event)) => {
                    events.push(event);
                    origins.push(at);
                }
            }
        }
        failed.unless_failed((events, origins))
    }

    /// The children that events get once they are grouped, in the order of `events`; empty where none does.
    pub(super) fn in_view(
        &self,
        events: &[Recorded<E>],
        origins: &[usize],
        page: &[Event],
    ) -> Result<Vec<Option<Vec<Recorded<E>>>>, Failures> {
        if self.after.is_none() {
            return Ok(Vec::new());
        }
        let mut failed = Gathered::default();
        let made = events
            .iter()
            .zip(origins)
            .filter_map(|(event, at)| failed.keep(children(self.after.as_ref(), event, &page[*at])));
        let made = made.collect();
        failed.unless_failed(made)
    }
}

fn children<E: DomainEvent>(
    by: Option<&Children<E>>,
    event: &Recorded<E>,
    raw: &Event,
) -> Result<Option<Vec<Recorded<E>>>, Failure> {
    let Some(by) = by else { return Ok(None) };
    let children = user_code(raw, || Ok(by(event)))?;
    Ok(children.map(|children| children.into_iter().map(|data| event.child(data)).collect()))
}
