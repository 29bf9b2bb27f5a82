use std::{fmt, sync::Arc};

use smol_str::SmolStr;

use super::{
    Aggregate, Effects, EventTypes, Failures, Kind, Lifecycle, LookUp, Plan, PlanInput, Projected, ViewRead,
    ViewType,
    failures::Gathered,
    fan_out::FanOut,
    grouped::{Raise, user_code},
    look_up::LookUps,
    slicer::{SlicedPlan, Slices},
};
use crate::{ApplyError, Error, EventPage, Recorded, Result, TenantId, ViewId, ViewKey};

/// Makes a projection whose views gather events of many streams: `identify` names the view or views of an event.
///
/// It may return a [`ViewId`], `String` or [`SmolStr`], or an `Option`, array or `Vec` of them; an event that names no view is
/// passed. The view's version counts the events applied to it.
///
/// Views by month, for example, are `|event| format!("{}:{}", event.stream(), event.recorded_at().strftime("%Y-%m"))`.
pub fn multi_stream<A, I, F>(name: impl Into<SmolStr>, identify: F) -> Projected<MultiStream<A>>
where
    A: Aggregate,
    I: ViewIds,
    F: Fn(&Recorded<A::Event>) -> I + Send + Sync + 'static,
{
    gathered(
        name,
        Box::new(move |event, take| {
            identify(event).each(&mut |id| {
                take(ViewKey { tenant: event.tenant().clone(), id });
            })
        }),
    )
}

/// Makes a projection with one view per tenant, under the tenant's id, or `default` for the default tenant. The views
/// themselves belong to the default tenant.
pub fn tenant_roll_up<A: Aggregate>(name: impl Into<SmolStr>) -> Projected<MultiStream<A>> {
    gathered(
        name,
        Box::new(|event, take| {
            let tenant = event.tenant().as_str();
            let id = ViewId::new(if tenant.is_empty() { "default" } else { tenant })?;
            take(ViewKey { tenant: TenantId::default(), id });
            Ok(())
        }),
    )
}

fn gathered<A: Aggregate>(
    name: impl Into<SmolStr>,
    identify: Identify<A::Event>,
) -> Projected<MultiStream<A>> {
    let kind =
        MultiStream { identify, fan_out: FanOut::default(), look_ups: LookUps(Vec::new()), raise: None };
    Projected::new(name, kind)
}

type Identify<E> = Box<dyn Fn(&Recorded<E>, &mut dyn FnMut(ViewKey)) -> Result<()> + Send + Sync>;

/// Views over many streams: see [`multi_stream`].
pub struct MultiStream<A: Aggregate> {
    identify: Identify<A::Event>,
    fan_out: FanOut<A::Event>,
    look_ups: LookUps<A::Event>,
    raise: Option<Arc<Raise<A>>>,
}

impl<A: Aggregate> Projected<MultiStream<A>> {
    /// Replaces events by their children before they are grouped, so that each child names its own views. `None` keeps the
    /// event as it is. Children have everything of the event but its data.
    pub fn fan_out<F>(mut self, children: F) -> Self
    where
        F: Fn(&Recorded<A::Event>) -> Option<Vec<A::Event>> + Send + Sync + 'static,
    {
        self.kind.fan_out.before = Some(Box::new(children));
        self
    }

    /// Replaces events by their children after they are grouped, so that all children go where their event goes.
    pub fn fan_out_in_view<F>(mut self, children: F) -> Self
    where
        F: Fn(&Recorded<A::Event>) -> Option<Vec<A::Event>> + Send + Sync + 'static,
    {
        self.kind.fan_out.after = Some(Box::new(children));
        self
    }

    /// Looks up views of another projection before events are folded: see [`look_up`](super::look_up).
    pub fn look_up(mut self, look_up: LookUp<A::Event>) -> Self {
        self.kind.look_ups.0.push(look_up);
        self
    }

    /// Raises effects: called for each event with the state of the view after it, `None` when that is gone. Never while
    /// inline.
    pub fn raise<F>(mut self, raise: F) -> Self
    where
        F: Fn(&Recorded<A::Event>, Option<&A>, &mut Effects) -> Result<(), ApplyError>
            + Send
            + Sync
            + 'static,
    {
        self.kind.raise = Some(Arc::new(Box::new(raise)));
        self
    }
}

impl<A: Aggregate> fmt::Debug for MultiStream<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiStream").finish_non_exhaustive()
    }
}

impl<A: Aggregate> Kind for MultiStream<A> {
    const NAME: &'static str = "multi-stream aggregate";
    const LIFECYCLES: &'static [Lifecycle] = &[Lifecycle::Inline, Lifecycle::Async];

    fn types(&self) -> EventTypes {
        EventTypes::of::<A::Event>()
    }

    fn view_type(&self) -> Option<ViewType> {
        Some(ViewType::of::<A>())
    }

    fn needs_seq(&self) -> Option<&'static str> {
        self.raise.is_some().then_some("raising effects")
    }

    fn looks_up(&self) -> Vec<SmolStr> {
        self.look_ups.names()
    }

    fn reads(&self, page: &EventPage) -> Result<Vec<ViewRead>, Failures> {
        self.look_ups.reads(&page.events)
    }

    fn plan(&self, input: PlanInput) -> Result<Arc<dyn Plan>, Failures> {
        let looked = self.look_ups.decode(&input.views, &input.page.events)?;
        let (events, origins) = self.fan_out.events(&input.page.events, looked.as_ref())?;
        let seqs = origins.iter().map(|at| input.page.events[*at].seq).collect();
        let mut slices = Slices::new(seqs, input.scope.clone());
        let mut failed = Gathered::default();
        let mut keys: Vec<ViewKey> = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let raw = &input.page.events[origins[at]];
            let told = user_code(raw, || {
                (self.identify)(event, &mut |key| {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                })
                .map_err(ApplyError::from)
            });
            failed.keep(told);
            for key in keys.drain(..) {
                slices.add_key(&key, at);
            }
        }
        failed.unless_failed(())?;
        let in_view = self.fan_out.in_view(&events, &origins, &input.page.events)?;
        Ok(Arc::new(SlicedPlan::<A>::new(input, slices, events, origins, in_view, self.raise.clone())))
    }
}

/// What can name the views of an event.
pub trait ViewIds {
    /// Hands each id to `take`.
    ///
    /// # Errors
    ///
    /// When a text cannot be a view's id.
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()>;
}

impl ViewIds for ViewId {
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()> {
        take(self);
        Ok(())
    }
}

macro_rules! text_view_ids {
    ($($text:ty),*) => {$(
        impl ViewIds for $text {
            fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<(), Error> {
                take(ViewId::new(self)?);
                Ok(())
            }
        }
    )*};
}

text_view_ids!(String, SmolStr, &'static str);

impl<T: ViewIds> ViewIds for Option<T> {
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()> {
        self.map_or(Ok(()), |id| id.each(take))
    }
}

impl<T: ViewIds> ViewIds for Vec<T> {
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()> {
        self.into_iter().try_for_each(|id| id.each(take))
    }
}

impl<T: ViewIds, const N: usize> ViewIds for [T; N] {
    fn each(self, take: &mut dyn FnMut(ViewId)) -> Result<()> {
        self.into_iter().try_for_each(|id| id.each(take))
    }
}
