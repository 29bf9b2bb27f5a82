//! What is registered, checked as a whole.

mod upstreams;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use ermine_core::{
    Composite, Definition, Error, ErrorHandling, EventFilter, Layout, Lifecycle, Options, Projection,
    ProjectionName, Registered, Result, ShardName, Start, Subscription, TypeName, ViewTable, is_change,
    ports::{Registration, archived_type},
};

use crate::{ErrorTable, Settings, shard::Shard};

/// Everything registered with a store.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// What each projection and subscription says of itself, and the shard that runs it, where one does.
    pub(crate) projections: Vec<RegisteredProjection>,
    /// One for each shard, in the order of registration.
    pub(crate) shards: Vec<Shard>,
    /// The projections that run with the append.
    pub(crate) inline: Vec<Member>,
    /// All types that something registered wants.
    pub(crate) known: Vec<TypeName>,
    pub(crate) registration: Registration,
}

/// A projection or subscription that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisteredProjection {
    /// What it says of itself.
    pub definition: Definition,
    /// The shard that runs it; `None` where no daemon does.
    pub shard: Option<ShardName>,
    /// What is done about failures of that shard.
    pub errors: Option<Arc<ErrorTable>>,
}

impl fmt::Display for RegisteredProjection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = &self.definition;
        write!(f, "{} version {}: {}, {:?}", d.name, d.version, d.kind, d.lifecycle)?;
        if let Some(shard) = &self.shard {
            write!(f, ", shard {shard}")?;
        }
        if let Some(view) = d.view_type {
            write!(f, ", views of {}", view.name)?;
        }
        if let Layout::Columns(columns) = &d.layout {
            write!(f, ", table {}", columns.name)?;
        }
        let types: Vec<&str> = d.types.iter().map(ermine_core::TypeName::as_str).collect();
        write!(f, ", events {}", types.join(", "))?;
        if let Some(stream_type) = &d.stream_type {
            write!(f, " of streams of type {stream_type}")?;
        }
        for upstream in &d.after {
            write!(f, ", after {upstream}")?;
        }
        for line in self.errors.iter().flat_map(|errors| errors.lines()) {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

/// One projection as the engine runs it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) projection: Arc<dyn Projection>,
    pub(crate) table: ViewTable,
    pub(crate) filter: EventFilter,
    /// Whether each view is the state of one stream.
    pub(crate) is_stream_state: bool,
}

/// What a shard does with its pages.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Projections in stages; mostly one stage of one.
    Stages(Vec<Vec<Member>>),
    Subscription(Arc<dyn Subscription>),
}

/// A shard before the types are known that others want.
struct Draft {
    name: ShardName,
    definitions: Vec<Vec<Definition>>,
    work: DraftWork,
    options: Options,
    errors: ErrorHandling,
}

enum DraftWork {
    Stages(Vec<Vec<Arc<dyn Projection>>>),
    Subscription(Arc<dyn Subscription>),
}

impl Registry {
    /// Checks everything; all faults in one error.
    pub(crate) fn new(
        registered: &[Registered],
        settings: &Settings,
        errors: &ErrorHandling,
        store_kind: &str,
    ) -> Result<Self> {
        let mut faults: Vec<String> = settings.check().err().map(|e| e.to_string()).into_iter().collect();
        let mut drafts = Vec::with_capacity(registered.len());
        for one in registered {
            match Draft::of(one) {
                Ok(draft) => drafts.push(draft),
                Err(error) => faults.push(error.chain()),
            }
        }
        check_names(&drafts, &mut faults);
        check_tables(&drafts, &mut faults);
        check_stores(&drafts, store_kind, &mut faults);
        check_memory(&drafts, settings, &mut faults);
        faults.extend(errors.faults().into_iter().map(|fault| format!("the daemon: {fault}")));
        check_changes(&drafts, &mut faults);
        let upstreams = upstreams::resolve(&drafts, &mut faults);
        if !faults.is_empty() {
            return Err(Error::configuration(faults.join("; ")));
        }
        Ok(Self::put_together(drafts, &upstreams, errors))
    }

    fn put_together(
        drafts: Vec<Draft>,
        upstreams: &HashMap<ShardName, Vec<ShardName>>,
        errors: &ErrorHandling,
    ) -> Self {
        let definitions = || drafts.iter().flat_map(Draft::definitions);
        let known: Vec<TypeName> =
            definitions().flat_map(|d| d.types.iter().filter(|name| !is_synthetic(name)).cloned()).collect();
        let tables = newest_tables(definitions());
        let registration =
            Registration { tables: definitions().filter_map(Definition::table_spec).collect() };
        let mut registry = Self { known, registration, ..Self::default() };
        for draft in drafts {
            registry.add(draft, &tables, upstreams, errors);
        }
        registry
    }

    fn add(
        &mut self,
        draft: Draft,
        tables: &HashMap<ProjectionName, ViewTable>,
        upstreams: &HashMap<ShardName, Vec<ShardName>>,
        daemon: &ErrorHandling,
    ) {
        let lifecycle = draft.definitions().next().map_or(Lifecycle::Async, |d| d.lifecycle);
        let runs = (lifecycle == Lifecycle::Async).then(|| draft.name.clone());
        let table = Arc::new(ErrorTable::new(&draft.errors, daemon));
        self.projections.extend(draft.definitions().map(|d| RegisteredProjection {
            definition: d.clone(),
            shard: runs.clone(),
            errors: runs.is_some().then(|| table.clone()),
        }));
        let member = |projection: Arc<dyn Projection>, definition: &Definition| Member {
            projection,
            table: definition.table(),
            filter: EventFilter::new(definition.types.iter().cloned(), []),
            is_stream_state: definition.is_stream_state,
        };
        let is_composite = draft.is_composite();
        let (name, options) = (draft.name, draft.options);
        let first = draft.definitions.iter().flatten().next().cloned();
        let all: Vec<Definition> = draft.definitions.iter().flatten().cloned().collect();
        let work = match draft.work {
            DraftWork::Subscription(subscription) => Work::Subscription(subscription),
            DraftWork::Stages(stages) => Work::Stages(
                stages
                    .into_iter()
                    .zip(&draft.definitions)
                    .map(|(members, of)| members.into_iter().zip(of).map(|(p, d)| member(p, d)).collect())
                    .collect(),
            ),
        };
        match (lifecycle, work) {
            (Lifecycle::Inline, Work::Stages(stages)) => self.inline.extend(stages.into_iter().flatten()),
            (Lifecycle::Async, work) => {
                let types =
                    all.iter().flat_map(|d| d.types.iter().filter(|name| !is_synthetic(name)).cloned());
                let known = self.known.iter().cloned().chain([archived_type()]);
                let stream_type = first.as_ref().and_then(|d| d.stream_type.clone());
                self.shards.push(Shard {
                    filter: EventFilter::new(types, known).for_streams_of(stream_type),
                    members: if is_composite {
                        all.iter().map(Definition::shard).collect()
                    } else {
                        Vec::new()
                    },
                    tables: tables.clone(),
                    after: upstreams.get(&name).cloned().unwrap_or_default(),
                    start: first.as_ref().map_or(Start::Beginning, |d| d.start),
                    errors: table,
                    options,
                    work,
                    name,
                });
            }
            _ => {}
        }
    }
}

impl Draft {
    fn of(registered: &Registered) -> Result<Self> {
        match registered {
            Registered::Projection(projection) => {
                let definition = projection.definition()?;
                Ok(Self {
                    name: definition.shard(),
                    options: definition.options,
                    errors: definition.errors.clone(),
                    definitions: vec![vec![definition]],
                    work: DraftWork::Stages(vec![vec![projection.clone()]]),
                })
            }
            Registered::Composite(composite) => Self::of_composite(composite),
            Registered::Subscription(subscription) => {
                let definition = subscription.definition()?;
                Ok(Self {
                    name: definition.shard(),
                    options: definition.options,
                    errors: definition.errors.clone(),
                    definitions: vec![vec![definition]],
                    work: DraftWork::Subscription(subscription.clone()),
                })
            }
            other => Err(Error::configuration(format!("this daemon does not know how to run {other:?}"))),
        }
    }

    fn of_composite(composite: &Composite) -> Result<Self> {
        let (name, definitions) = (composite.shard()?, composite.definitions()?);
        let of = |d: &Definition| (d.stream_type.clone(), d.start);
        let mut members = definitions.iter().flatten();
        if let Some(first) = members.next()
            && let Some(other) = members.find(|d| of(d) != of(first))
        {
            return Err(Error::configuration(format!(
                "\"{}\" and \"{}\" are members of composite \"{}\" and share one read of the log: give them one start and \
                 one type of streams, or put them into composites of their own",
                first.name,
                other.name,
                name.projection()
            )));
        }
        let stages = composite.stages().to_vec();
        Ok(Self {
            name,
            definitions,
            work: DraftWork::Stages(stages),
            options: composite.spends(),
            errors: composite.handles_errors().clone(),
        })
    }

    fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.iter().flatten()
    }

    /// Whether its members have names of their own.
    fn is_composite(&self) -> bool {
        self.definitions().any(|d| d.shard() != self.name)
    }
}

fn is_synthetic(name: &TypeName) -> bool {
    is_change(name)
}

/// Changes of views are told only within a composite, to later stages.
fn check_changes(drafts: &[Draft], faults: &mut Vec<String>) {
    for draft in drafts {
        for (stage, members) in draft.definitions.iter().enumerate() {
            for (member, name) in members.iter().flat_map(|m| m.types.iter().map(move |name| (m, name))) {
                let Some((_, of)) = name.split_once(':').filter(|_| is_synthetic(name)) else { continue };
                let mut earlier = draft.definitions[..stage].iter().flatten();
                if !earlier.any(|d| d.name.as_str() == of) {
                    faults.push(format!(
                        "\"{}\" takes \"{name}\", which only a composite with \"{of}\" in an earlier stage tells",
                        member.name
                    ));
                }
            }
        }
    }
}

/// Where look-ups by the name of a projection go: to its highest version.
fn newest_tables<'d>(
    definitions: impl Iterator<Item = &'d Definition>,
) -> HashMap<ProjectionName, ViewTable> {
    let mut newest: HashMap<ProjectionName, ViewTable> = HashMap::new();
    for definition in definitions.filter(|d| d.has_views) {
        let table = definition.table();
        let known = newest.entry(definition.name.clone()).or_insert_with(|| table.clone());
        if table.version() > known.version() {
            *known = table;
        }
    }
    newest
}

fn check_names(drafts: &[Draft], faults: &mut Vec<String>) {
    let mut times: BTreeMap<ShardName, usize> = BTreeMap::new();
    for draft in drafts {
        let members = draft.definitions().map(Definition::shard);
        let composite = draft.is_composite().then(|| draft.name.clone());
        members.chain(composite).for_each(|shard| *times.entry(shard).or_default() += 1);
    }
    for (shard, times) in times.into_iter().filter(|(_, times)| *times > 1) {
        faults.push(format!(
            "projection \"{}\" version {} is registered {times} times: give each a name or a version of its own",
            shard.projection(),
            shard.version()
        ));
    }
}

fn check_tables(drafts: &[Draft], faults: &mut Vec<String>) {
    let mut owners: BTreeMap<(String, u32), ProjectionName> = BTreeMap::new();
    for definition in drafts.iter().flat_map(Draft::definitions) {
        let Layout::Columns(columns) = &definition.layout else { continue };
        let key = (columns.name.to_string(), definition.version);
        match owners.get(&key) {
            Some(owner) if *owner != definition.name => faults.push(format!(
                "both \"{owner}\" and \"{}\" own the table {}: give each a table of its own",
                definition.name, columns.name
            )),
            Some(_) => {}
            None => drop(owners.insert(key, definition.name.clone())),
        }
    }
}

fn check_stores(drafts: &[Draft], store_kind: &str, faults: &mut Vec<String>) {
    for definition in drafts.iter().flat_map(Draft::definitions) {
        if let Some(native) = definition.native.as_ref().filter(|native| *native != store_kind) {
            faults.push(format!(
                "projection \"{}\" makes statements for the store \"{native}\" and cannot run on \"{store_kind}\"",
                definition.name
            ));
        }
    }
}

fn check_memory(drafts: &[Draft], settings: &Settings, faults: &mut Vec<String>) {
    if settings.check().is_err() {
        return; // said already, and said for every projection it would only repeat itself
    }
    for draft in drafts {
        if let Err(error) = settings.with(draft.options).check() {
            faults.push(format!("projection \"{}\": {error}", draft.name.projection()));
        }
    }
}
