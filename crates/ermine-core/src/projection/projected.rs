use std::{fmt, num::NonZeroUsize, sync::Arc};

use smol_str::SmolStr;

use super::{
    Archived, Definition, Failures, Lifecycle, Options, Plan, PlanInput, Projection, Start, ViewRead,
    ViewType,
};
use crate::{
    DeadLetters, DomainEvent, Error, ErrorHandling, ErrorPolicy, EventPage, FieldIndex, FieldKind, Layout,
    Matcher, ProjectionName, Response, Result, StreamType, TypeName, field, ports::archived_type,
};

/// The types of events that a kind of projection can take.
#[derive(Clone, Copy, Debug)]
pub struct EventTypes {
    all: &'static [&'static str],
    renamed: &'static [(&'static str, &'static str)],
}

impl EventTypes {
    /// Those of a domain enum.
    #[must_use]
    pub const fn of<E: DomainEvent>() -> Self {
        Self { all: E::TYPES, renamed: E::RENAMED }
    }

    /// The name that a type has now.
    fn current(self, name: &str) -> &str {
        self.renamed.iter().find(|(older, _)| *older == name).map_or(name, |(_, current)| current)
    }

    /// Why `name` cannot be meant, if it cannot.
    pub(super) fn fault(self, name: &str) -> Option<String> {
        if !self.all.contains(&name) {
            return Some(format!("its events have no type \"{name}\": they have {}", self.all.join(", ")));
        }
        let current = self.current(name);
        (current != name).then(|| format!("\"{name}\" is an older name of \"{current}\": say that"))
    }
}

/// What sets one kind of projection apart from another.
///
/// Applications do not implement it: the kinds are made by functions, of which [`custom`](super::custom) takes code for
/// everything that the others cannot do.
pub trait Kind: Send + Sync + 'static {
    /// What the kind is called.
    const NAME: &'static str;
    /// The lifecycles in which it makes sense.
    const LIFECYCLES: &'static [Lifecycle];

    /// The types of events that it can take.
    fn types(&self) -> EventTypes;

    /// The type of its views.
    fn view_type(&self) -> Option<ViewType>;

    /// How its views are kept; what is wrong with it goes to `faults`.
    fn layout(&self, faults: &mut Vec<String>) -> Layout {
        let _ = faults;
        Layout::Document
    }

    /// Whether it has one view per stream, which can be dropped when the stream is archived.
    fn is_per_stream(&self) -> bool {
        false
    }

    /// Whether each view is the state of one stream.
    fn is_stream_state(&self) -> bool {
        false
    }

    /// Whether it needs the numbers of events, which those being appended do not have yet; says what for.
    fn needs_seq(&self) -> Option<&'static str> {
        None
    }

    /// The kind of store whose native statements it makes.
    fn native(&self) -> Option<SmolStr> {
        None
    }

    /// The projections whose views it looks up.
    fn looks_up(&self) -> Vec<SmolStr> {
        Vec::new()
    }

    /// See [`Projection::reads`].
    ///
    /// # Errors
    ///
    /// The event that was refused.
    fn reads(&self, page: &EventPage) -> std::result::Result<Vec<ViewRead>, Failures> {
        let _ = page;
        Ok(Vec::new())
    }

    /// See [`Projection::plan`].
    ///
    /// # Errors
    ///
    /// The event whose view could not be told.
    fn plan(&self, input: PlanInput) -> std::result::Result<Arc<dyn Plan>, Failures>;
}

/// A projection or subscription of kind `K` with its name and everything that all kinds have in common.
#[must_use = "a projection does nothing until it is registered"]
pub struct Projected<K> {
    pub(super) name: SmolStr,
    pub(super) kind: K,
    version: u32,
    lifecycle: Lifecycle,
    only: Option<Vec<SmolStr>>,
    stream_type: Option<SmolStr>,
    after: Vec<SmolStr>,
    indexes: Vec<(SmolStr, FieldKind)>,
    archived: Archived,
    errors: ErrorHandling,
    start: Start,
    options: Options,
}

impl<K> Projected<K> {
    /// A projection of a kind under a name, async, from the beginning.
    pub(super) fn new(name: impl Into<SmolStr>, kind: K) -> Self {
        Self {
            name: name.into(),
            kind,
            version: 1,
            lifecycle: Lifecycle::default(),
            only: None,
            stream_type: None,
            after: Vec::new(),
            indexes: Vec::new(),
            archived: Archived::default(),
            errors: ErrorHandling::default(),
            start: Start::default(),
            options: Options::default(),
        }
    }

    /// Its version, 1 or higher: a new version has views and progress of its own, and runs side by side with the old one.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// When it runs. Default: [`Lifecycle::Async`].
    pub fn lifecycle(mut self, lifecycle: Lifecycle) -> Self {
        self.lifecycle = lifecycle;
        self
    }

    /// Brings views up to date in the transaction of the append.
    pub fn inline(self) -> Self {
        self.lifecycle(Lifecycle::Inline)
    }

    /// Stores nothing, and folds when somebody asks.
    pub fn live(self) -> Self {
        self.lifecycle(Lifecycle::Live)
    }

    /// Never runs ahead of the projection `name`, whose views it reads, also while catching up.
    pub fn after(mut self, name: impl Into<SmolStr>) -> Self {
        self.after.push(name.into());
        self
    }

    /// Takes only events of these types, out of all that its enum has.
    pub fn only<T: Into<SmolStr>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.only.get_or_insert_default().extend(types.into_iter().map(Into::into));
        self
    }

    /// Takes only events of streams of this type: see [`StreamAppend::of_type`](crate::StreamAppend::of_type).
    pub fn for_streams_of(mut self, stream_type: impl Into<SmolStr>) -> Self {
        self.stream_type = Some(stream_type.into());
        self
    }

    /// What becomes of views when their stream is archived. Default: [`Archived::Replay`].
    pub fn archived(mut self, archived: Archived) -> Self {
        self.archived = archived;
        self
    }

    /// Adds a rule about its failures in runs that follow the log; it comes before those of the daemon and the defaults.
    pub fn on_error(mut self, which: impl Into<Matcher>, response: Response) -> Self {
        self.errors.on_error(which, response);
        self
    }

    /// Its rules about failures in runs that follow the log, in place of those it has.
    pub fn errors(mut self, policy: ErrorPolicy) -> Self {
        self.errors.continuous = policy;
        self
    }

    /// Its rules about failures in runs that end: rebuilds, and catching up.
    pub fn rebuild_errors(mut self, policy: ErrorPolicy) -> Self {
        self.errors.rebuild = policy;
        self
    }

    /// What becomes of events that are passed because they failed. Default: [`DeadLetters::skip`].
    pub fn dead_letters(mut self, letters: DeadLetters) -> Self {
        self.errors.dead_letters = Some(letters);
        self
    }

    /// Where it starts when it has no progress yet. Default: [`Start::Beginning`].
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// It has been inline until now, so its views are up to date: without progress it starts at the mark. Switch while
    /// nothing is appended.
    pub fn starts_as_inline(self) -> Self {
        self.start(Start::Present)
    }

    /// Has the store keep an index on a field of the views, for queries that compare it with values of `kind`.
    pub fn index(mut self, path: impl Into<SmolStr>, kind: FieldKind) -> Self {
        self.indexes.push((path.into(), kind));
        self
    }

    /// The most events in one of its pages.
    pub fn page_events_max(mut self, events: NonZeroUsize) -> Self {
        self.options.page_events_max = Some(events);
        self
    }

    /// How many events it holds between loading and the answer to their commit.
    pub fn in_flight_events_max(mut self, events: usize) -> Self {
        self.options.in_flight_events_max = Some(events);
        self
    }

    /// How many bytes of views it remembers, so that it need not read them again.
    pub fn cache_bytes_max(mut self, bytes: usize) -> Self {
        self.options.cache_bytes_max = Some(bytes);
        self
    }
}

/// What a kind says of itself, as far as a definition needs it.
pub(super) struct Traits {
    pub(super) name: &'static str,
    pub(super) lifecycles: &'static [Lifecycle],
    pub(super) types: EventTypes,
    pub(super) view_type: Option<ViewType>,
    pub(super) has_views: bool,
    pub(super) is_per_stream: bool,
    pub(super) is_stream_state: bool,
    pub(super) needs_seq: Option<&'static str>,
    pub(super) native: Option<SmolStr>,
    pub(super) looks_up: Vec<SmolStr>,
}

impl<K> Projected<K> {
    /// Checks everything and puts the definition together; all faults in one error.
    pub(super) fn define(
        &self,
        traits: Traits,
        layout: impl FnOnce(&mut Vec<String>) -> Layout,
    ) -> Result<Definition> {
        let mut faults = Vec::new();
        let layout = layout(&mut faults);
        let name = kept(ProjectionName::new(self.name.clone()), &mut faults);
        if self.version == 0 {
            faults.push("its version is 0: versions begin with 1".into());
        }
        if !traits.lifecycles.contains(&self.lifecycle) {
            let possible: Vec<String> = traits.lifecycles.iter().map(|l| format!("{l:?}")).collect();
            faults.push(format!(
                "a {} cannot be {:?}: it can be {}",
                traits.name,
                self.lifecycle,
                possible.join(" or ")
            ));
        }
        if self.lifecycle == Lifecycle::Inline {
            if let Some(what) = traits.needs_seq {
                faults.push(format!(
                    "{what} needs the numbers of events, which inline ones do not have yet: make it async"
                ));
            }
            if !self.after.is_empty() {
                faults.push("an inline projection cannot run after another: make it async".into());
            }
            if self.stream_type.is_some() {
                faults.push(
                    "the type of a stream is not known while events are being appended, so an inline projection cannot be \
                     limited to it: make it async"
                        .into(),
                );
            }
            if self.archived == Archived::Drop {
                faults.push(
                    "Archived::Drop takes effect at the event that archives a stream, which inline projections are not \
                     given: make it async"
                        .into(),
                );
            }
        }
        if self.lifecycle == Lifecycle::Live {
            let ignored = [
                (!traits.looks_up.is_empty(), "look up views"),
                (traits.needs_seq.is_some(), "raise effects"),
                (self.only.is_some(), "leave out events"),
                (self.start != Start::Beginning, "start elsewhere than at the first event"),
                (!self.after.is_empty(), "run after another"),
            ];
            faults.extend(
                ignored
                    .iter()
                    .filter(|(asked, _)| *asked)
                    .map(|(_, what)| format!("a live projection cannot {what}: make it inline or async")),
            );
        }
        if self.lifecycle != Lifecycle::Async && !self.errors.is_default() {
            faults.push(
                "rules about errors are for the daemon: an inline projection that fails refuses the append, a live one the \
                 read"
                    .into(),
            );
        }
        faults.extend(self.errors.faults());
        if self.archived == Archived::Drop && !traits.is_per_stream {
            faults.push(format!(
                "Archived::Drop needs one view per stream, which a {} does not have",
                traits.name
            ));
        }
        let types = self.types(traits.types, &mut faults);
        let stream_type = self.stream_type.clone().and_then(|name| kept(StreamType::new(name), &mut faults));
        let indexes = self.indexes.iter().filter_map(|(path, kind)| {
            let field = kept(field(path), &mut faults)?;
            Some(FieldIndex { field, kind: *kind })
        });
        let indexes = indexes.collect();
        let after = self.after.iter().chain(&traits.looks_up);
        let mut after: Vec<ProjectionName> =
            after.filter_map(|name| kept(ProjectionName::new(name.clone()), &mut faults)).collect();
        after.sort_unstable();
        after.dedup();
        let Some(name) = name.filter(|_| faults.is_empty()) else {
            return Err(Error::configuration(format!("projection \"{}\": {}", self.name, faults.join("; "))));
        };
        after.retain(|upstream| *upstream != name);
        Ok(Definition {
            name,
            version: self.version,
            kind: traits.name,
            lifecycle: self.lifecycle,
            types,
            stream_type,
            view_type: traits.view_type,
            // With look-ups, or without the first events, a view is more or less than what its stream says.
            is_stream_state: traits.is_stream_state
                && traits.looks_up.is_empty()
                && self.start == Start::Beginning,
            has_views: traits.has_views && self.lifecycle != Lifecycle::Live,
            layout,
            indexes,
            after,
            looks_up: traits
                .looks_up
                .iter()
                .filter_map(|name| ProjectionName::new(name.clone()).ok())
                .collect(),
            native: traits.native,
            archived: self.archived,
            errors: self.errors.clone(),
            start: self.start,
            options: self.options,
        })
    }

    /// Each type that it takes, under all names that it has had.
    fn types(&self, types: EventTypes, faults: &mut Vec<String>) -> Vec<TypeName> {
        let only = self.only.iter().flatten();
        faults.extend(
            only.filter_map(|name| types.fault(name))
                .map(|fault| format!("what it is to take only: {fault}")),
        );
        let is_wanted = |name: &&str| {
            let current = types.current(name);
            self.only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == current))
        };
        let named = types.all.iter().copied().filter(is_wanted);
        let mut types: Vec<TypeName> = named.filter_map(|name| kept(TypeName::new(name), faults)).collect();
        if self.archived == Archived::Drop {
            types.push(archived_type());
        }
        types
    }
}

fn kept<T>(result: Result<T>, faults: &mut Vec<String>) -> Option<T> {
    result.map_err(|fault| faults.push(fault.to_string())).ok()
}

impl<K: Kind> Projection for Projected<K> {
    fn definition(&self) -> Result<Definition> {
        let traits = Traits {
            name: K::NAME,
            lifecycles: K::LIFECYCLES,
            types: self.kind.types(),
            view_type: self.kind.view_type(),
            has_views: true,
            is_per_stream: self.kind.is_per_stream(),
            is_stream_state: self.kind.is_stream_state(),
            needs_seq: self.kind.needs_seq(),
            native: self.kind.native(),
            looks_up: self.kind.looks_up(),
        };
        self.define(traits, |faults| self.kind.layout(faults))
    }

    fn reads(&self, page: &EventPage) -> std::result::Result<Vec<ViewRead>, Failures> {
        self.kind.reads(page)
    }

    fn plan(&self, input: PlanInput) -> std::result::Result<Arc<dyn Plan>, Failures> {
        self.kind.plan(input)
    }
}

impl<K: Kind> From<Projected<K>> for Arc<dyn Projection> {
    fn from(projection: Projected<K>) -> Self {
        Arc::new(projection)
    }
}

impl<K> fmt::Debug for Projected<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projected")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("lifecycle", &self.lifecycle)
            .finish_non_exhaustive()
    }
}
