//! What the model says, as projections.

use ermine::{
    core::{
        Body, Operation, PageError, PageProjection, Registered, RowRule, Seq, StoredView, ViewKey, ViewTable,
        Views,
    },
    prelude::*,
};
use serde_json::{Value as Json, json};

use super::story::Entry;

/// Projections with the lifecycle in their names; the custom one is always async.
pub(super) const KINDS: [&str; 7] = ["Single", "Tags", "Fan", "FanIn", "Docs", "Rows", "Shares"];

pub(super) fn projections() -> Vec<Registered> {
    let mut all: Vec<Registered> = vec![custom("Last", Last).into()];
    for lifecycle in [Lifecycle::Inline, Lifecycle::Async] {
        all.extend(of(lifecycle));
    }
    all
}

fn of(lifecycle: Lifecycle) -> [Registered; 7] {
    let name = |kind: &str| format!("{kind}{lifecycle:?}");
    let table = |kind: &str| name(kind).to_lowercase();
    let rows = flat_table::<Entry>(name("Rows"), table("Rows"))
        .column("owner", ColumnKind::Text)
        .column_or("sum", ColumnKind::Integer, 5)
        .column_or("half", ColumnKind::Real, 0.0)
        .nullable("nth", ColumnKind::Integer)
        .column_or("live", ColumnKind::Boolean, true)
        .nullable("parts", ColumnKind::Json)
        .on("entry.opened", |row| row.map("owner"))
        .on("entry.added", |row| row.decrement_from("sum", "n").increment("half", 0.5).stream_version("nth"))
        .on("entry.split", |row| row.map("parts"))
        .on("entry.swept", |row| row.set("live", false))
        .on("entry.closed", RowRule::delete);
    let shares = flat_table::<Entry>(name("Shares"), table("Shares"))
        .column_or("total", ColumnKind::Integer, 0)
        .column_or("last", ColumnKind::Text, "")
        .on("entry.added", |row| row.increment_from("total", "n").stream("last"))
        .on("entry.closed", RowRule::delete)
        .keyed_by(tags);
    [
        single_stream::<Account>(name("Single")).lifecycle(lifecycle).into(),
        multi_stream::<Account, _, _>(name("Tags"), tags).lifecycle(lifecycle).into(),
        multi_stream::<Account, _, _>(name("Fan"), tags).fan_out(parts).lifecycle(lifecycle).into(),
        multi_stream::<Account, _, _>(name("FanIn"), |event: &Recorded<Entry>| event.stream().to_string())
            .fan_out_in_view(parts)
            .lifecycle(lifecycle)
            .into(),
        event_projection(name("Docs"), documents).lifecycle(lifecycle).into(),
        rows.lifecycle(lifecycle).into(),
        shares.lifecycle(lifecycle).into(),
    ]
}

fn tags(event: &Recorded<Entry>) -> Vec<String> {
    let stream = event.stream();
    match event.data() {
        Entry::Added { tags, .. } => tags.iter().map(|tag| format!("tag-{tag}")).collect(),
        Entry::Closed => vec!["tag-0".into(), format!("of-{stream}")],
        Entry::Moved { .. } => vec![format!("of-{stream}")],
        _ => vec![],
    }
}

fn parts(event: &Recorded<Entry>) -> Option<Vec<Entry>> {
    let Entry::Split { parts } = event.data() else { return None };
    Some(parts.iter().map(|n| Entry::Added { n: *n, tags: vec![u8::from(*n > 0), 1] }).collect())
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Account {
    owner: Option<String>,
    sum: i64,
    lines: Vec<String>,
}

impl Aggregate for Account {
    type Event = Entry;

    fn evolve(account: Option<Self>, event: &Recorded<Entry>) -> Result<Option<Self>, ApplyError> {
        let mut account = account.unwrap_or_default();
        match event.data() {
            Entry::Opened { owner } => account.owner = Some(owner.clone()),
            Entry::Added { n, .. } => account.sum += n,
            Entry::Split { parts } => account.sum += parts.iter().sum::<i64>(),
            Entry::Moved { to } => account.owner.clone_from(to),
            Entry::Swept { above } if account.sum > *above => account.lines.clear(),
            Entry::Swept { .. } => {}
            Entry::Closed => return Ok(None),
        }
        account.lines.push(format!("{}@{}", event.stream(), event.version()));
        Ok(Some(account))
    }
}

fn documents(event: &Recorded<Entry>, views: &mut ViewChanges<Json>) -> Result<(), ApplyError> {
    let stream = event.stream().as_str();
    match event.data() {
        Entry::Opened { owner } => views.store(stream, &json!({"owner": owner, "n": 0})),
        Entry::Added { n, tags } => {
            let patch = Patch::new().increment("n", *n)?;
            let patch = tags.iter().try_fold(patch, |patch, tag| patch.push("deep.tags", tag))?;
            views.patch(stream, patch)
        }
        Entry::Split { parts } => parts
            .iter()
            .try_for_each(|part| views.store(format!("part-{}", part.rem_euclid(3)), &json!({ "n": part }))),
        Entry::Moved { to: Some(to) } => views.patch(stream, Patch::new().set("owner", to)?),
        Entry::Moved { to: None } => views.patch(stream, Patch::new().remove("owner")?),
        Entry::Swept { above } => {
            views.delete_where(field("n")?.gt(*above).or(field("owner")?.eq("ada")));
            Ok(())
        }
        Entry::Closed => views.delete(stream),
    }
}

/// The version of each stream's last event.
struct Last;

impl PageProjection for Last {
    type Event = Entry;

    fn apply(
        &self,
        page: &[Recorded<Entry>],
        _: &Views,
        table: &ViewTable,
    ) -> Result<Vec<Operation>, PageError> {
        let operation = |event: &Recorded<Entry>| {
            let key = ViewKey { tenant: event.tenant().clone(), id: event.stream().clone().into() };
            let table = table.clone();
            if let Entry::Closed = event.data() {
                return Ok(Operation::Delete { table, key });
            }
            let body = Body::encode(&json!({ "version": event.version().get() }))?;
            let seq = event.seq().unwrap_or(Seq::ZERO);
            Ok(Operation::Store { table, key, view: StoredView { body, version: event.version(), seq } })
        };
        page.iter().map(operation).collect()
    }
}
