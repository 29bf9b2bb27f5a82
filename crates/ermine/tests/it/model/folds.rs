//! The model: what every projection's views have to be, event by event, without anything of the engine.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::story::Entry;
use crate::alike::Alike;

/// Views by tenant and id.
pub(super) type Views = BTreeMap<(&'static str, String), Json>;

/// The views of each kind of projection.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    views: BTreeMap<&'static str, Views>,
    versions: BTreeMap<(&'static str, String), u64>,
}

impl Model {
    /// The views of a projection that belong to a tenant.
    pub(super) fn views(&self, kind: &str, tenant: &str) -> BTreeMap<String, Alike> {
        let all = self.views.get(kind).into_iter().flatten();
        all.filter(|((of, _), _)| *of == tenant)
            .map(|((_, id), view)| (id.clone(), Alike(view.clone())))
            .collect()
    }

    /// One more event at the end of the log.
    pub(super) fn append(&mut self, tenant: &'static str, stream: &str, entry: &Entry) {
        let version = self.versions.entry((tenant, stream.to_owned())).or_default();
        *version += 1;
        let at = At { tenant, stream, version: *version };
        account(self.of("Single"), &at, stream, entry);
        for id in tags(&at, entry) {
            account(self.of("Tags"), &at, &id, entry);
        }
        let children: Vec<Entry> = match entry {
            Entry::Split { parts } => {
                parts.iter().map(|n| Entry::Added { n: *n, tags: vec![u8::from(*n > 0), 1] }).collect()
            }
            other => vec![other.clone()],
        };
        for child in &children {
            for id in tags(&at, child) {
                account(self.of("Fan"), &at, &id, child);
            }
            account(self.of("FanIn"), &at, stream, child);
        }
        documents(self.of("Docs"), &at, entry);
        row(self.of("Rows"), &at, entry);
        shares(self.of("Shares"), &at, entry);
        let last = self.of("Last");
        match entry {
            Entry::Closed => drop(last.remove(&at.id(stream))),
            _ => drop(last.insert(at.id(stream), json!({ "version": at.version }))),
        }
    }

    fn of(&mut self, kind: &'static str) -> &mut Views {
        self.views.entry(kind).or_default()
    }
}

struct At<'s> {
    tenant: &'static str,
    stream: &'s str,
    version: u64,
}

impl At<'_> {
    fn id(&self, id: &str) -> (&'static str, String) {
        (self.tenant, id.to_owned())
    }
}

/// The views that an event names by its tags, each once.
fn tags(at: &At<'_>, entry: &Entry) -> Vec<String> {
    let mut ids: Vec<String> = match entry {
        Entry::Added { tags, .. } => tags.iter().map(|tag| format!("tag-{tag}")).collect(),
        Entry::Closed => vec!["tag-0".into(), format!("of-{}", at.stream)],
        Entry::Moved { .. } => vec![format!("of-{}", at.stream)],
        _ => vec![],
    };
    ids.sort();
    ids.dedup();
    ids
}

fn account(views: &mut Views, at: &At<'_>, id: &str, entry: &Entry) {
    if let Entry::Closed = entry {
        views.remove(&at.id(id));
        return;
    }
    let view = views.entry(at.id(id)).or_insert_with(|| json!({"owner": null, "sum": 0, "lines": []}));
    let add = |view: &mut Json, n: i64| view["sum"] = json!(view["sum"].as_i64().unwrap() + n);
    match entry {
        Entry::Opened { owner } => view["owner"] = json!(owner),
        Entry::Added { n, .. } => add(view, *n),
        Entry::Split { parts } => parts.iter().for_each(|n| add(view, *n)),
        Entry::Moved { to } => view["owner"] = json!(to),
        Entry::Swept { above } if view["sum"].as_i64().unwrap() > *above => view["lines"] = json!([]),
        Entry::Swept { .. } | Entry::Closed => {}
    }
    view["lines"].as_array_mut().unwrap().push(json!(format!("{}@{}", at.stream, at.version)));
}

fn documents(views: &mut Views, at: &At<'_>, entry: &Entry) {
    let id = at.id(at.stream);
    match entry {
        Entry::Opened { owner } => drop(views.insert(id, json!({"owner": owner, "n": 0}))),
        Entry::Added { n, tags } => {
            if let Some(view) = views.get_mut(&id) {
                view["n"] = json!(view["n"].as_i64().unwrap_or(0) + n);
                for tag in tags {
                    if view["deep"]["tags"].is_null() {
                        view["deep"] = json!({"tags": []});
                    }
                    view["deep"]["tags"].as_array_mut().unwrap().push(json!(tag));
                }
            }
        }
        Entry::Split { parts } => {
            for part in parts {
                views.insert(at.id(&format!("part-{}", part.rem_euclid(3))), json!({ "n": part }));
            }
        }
        Entry::Moved { to } => {
            if let Some(Json::Object(view)) = views.get_mut(&id) {
                match to {
                    Some(to) => drop(view.insert("owner".into(), json!(to))),
                    None => drop(view.remove("owner")),
                }
            }
        }
        Entry::Swept { above } => {
            views.retain(|(tenant, _), view| {
                let large = view["n"].as_i64().is_some_and(|n| n > *above);
                *tenant != at.tenant || !(large || view["owner"] == "ada")
            });
        }
        Entry::Closed => drop(views.remove(&id)),
    }
}

fn row(rows: &mut Views, at: &At<'_>, entry: &Entry) {
    let id = at.id(at.stream);
    if let Entry::Opened { owner } = entry {
        let fresh =
            || json!({"owner": null, "sum": 5, "half": 0.0, "nth": null, "live": true, "parts": null});
        rows.entry(id).or_insert_with(fresh)["owner"] = json!(owner);
        return;
    }
    let Some(row) = rows.get_mut(&id) else { return };
    match entry {
        Entry::Added { n, .. } => {
            row["sum"] = json!(row["sum"].as_i64().unwrap() - n);
            row["half"] = json!(row["half"].as_f64().unwrap() + 0.5);
            row["nth"] = json!(at.version);
        }
        Entry::Split { parts } => row["parts"] = json!(parts),
        Entry::Swept { .. } => row["live"] = json!(false),
        Entry::Closed => drop(rows.remove(&id)),
        Entry::Moved { .. } | Entry::Opened { .. } => {}
    }
}

fn shares(rows: &mut Views, at: &At<'_>, entry: &Entry) {
    for id in tags(at, entry) {
        match entry {
            Entry::Added { n, .. } => {
                let row = rows.entry(at.id(&id)).or_insert_with(|| json!({"total": 0, "last": ""}));
                row["total"] = json!(row["total"].as_i64().unwrap() + n);
                row["last"] = json!(at.stream);
            }
            Entry::Closed => drop(rows.remove(&at.id(&id))),
            _ => {}
        }
    }
}
