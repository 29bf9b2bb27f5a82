//! Which shard waits for which.

use std::collections::{BTreeSet, HashMap};

use ermine_core::{Definition, Lifecycle, ProjectionName, ShardName};

use super::Draft;

/// The shards that each shard never runs ahead of.
pub(super) fn resolve(drafts: &[Draft], faults: &mut Vec<String>) -> HashMap<ShardName, Vec<ShardName>> {
    let mut upstreams = HashMap::new();
    for draft in drafts {
        let mut after = BTreeSet::new();
        for (stage, members) in draft.definitions.iter().enumerate() {
            for member in members {
                for upstream in &member.after {
                    match find(drafts, draft, stage, member, upstream) {
                        Ok(shard) => after.extend(shard),
                        Err(fault) => faults.push(fault),
                    }
                }
            }
        }
        upstreams.insert(draft.name.clone(), after.into_iter().collect());
    }
    if let Some(cycle) = cycle(&upstreams) {
        let names: Vec<String> = cycle.iter().map(ToString::to_string).collect();
        faults.push(format!("each of these waits for the next, for ever: {}", names.join(" after ")));
    }
    upstreams
}

/// The shard to wait for, which is none where the upstream is up to date anyway.
fn find(
    drafts: &[Draft],
    draft: &Draft,
    stage: usize,
    member: &Definition,
    upstream: &ProjectionName,
) -> Result<Option<ShardName>, String> {
    let own = draft.definitions.iter().position(|members| members.iter().any(|d| d.name == *upstream));
    match own {
        Some(earlier) if earlier < stage => return Ok(None),
        Some(_) => {
            return Err(format!(
                "\"{}\" reads \"{upstream}\", which is not in an earlier stage of \"{}\": put it into one",
                member.name,
                draft.name.projection()
            ));
        }
        None => {}
    }
    let named = |other: &&Draft| {
        other.name.projection() == upstream || other.definitions().any(|d| d.name == *upstream)
    };
    let of_name = |other: &&Draft| {
        let member = other.definitions().filter(|d| d.name == *upstream).map(|d| d.version).max();
        member.unwrap_or_else(|| other.name.version())
    };
    let newest = drafts.iter().filter(named).max_by_key(of_name);
    let Some(newest) = newest else {
        let mut known: Vec<&str> =
            drafts.iter().flat_map(Draft::definitions).map(|d| d.name.as_str()).collect();
        known.sort_unstable();
        return Err(format!(
            "\"{}\" runs after \"{upstream}\", which is not registered; registered are {}",
            member.name,
            known.join(", ")
        ));
    };
    let looked_up = newest.definitions().find(|d| d.name == *upstream);
    if member.looks_up.contains(upstream) && !looked_up.is_some_and(|d| d.has_views) {
        return Err(format!(
            "\"{}\" looks up views of \"{upstream}\", which keeps none: name the projection that does",
            member.name
        ));
    }
    match newest.definitions().next().map(|d| d.lifecycle) {
        Some(Lifecycle::Async) if member.lifecycle == Lifecycle::Inline => Err(format!(
            "\"{}\" is inline and looks up views of \"{upstream}\", which is async and may lag: make the one async or the \
             other inline",
            member.name
        )),
        Some(Lifecycle::Live) => Err(format!(
            "\"{}\" runs after \"{upstream}\", which is live and stores no views: make that inline or async",
            member.name
        )),
        Some(Lifecycle::Inline) => Ok(None),
        _ => Ok(Some(newest.name.clone())),
    }
}

/// A circle of shards that wait for each other, if there is one.
fn cycle(upstreams: &HashMap<ShardName, Vec<ShardName>>) -> Option<Vec<ShardName>> {
    let mut starts: Vec<&ShardName> = upstreams.keys().collect();
    starts.sort_unstable();
    starts.into_iter().find_map(|start| {
        let mut way = vec![start.clone()];
        walk(upstreams, start, &mut way).then_some(way)
    })
}

/// Whether a way leads from the end of `way` back to `start`; the graph is small.
fn walk(upstreams: &HashMap<ShardName, Vec<ShardName>>, start: &ShardName, way: &mut Vec<ShardName>) -> bool {
    let Some(end) = way.last().cloned() else { return false };
    for next in upstreams.get(&end).into_iter().flatten() {
        if next == start {
            way.push(start.clone());
            return true;
        }
        if !way.contains(next) {
            way.push(next.clone());
            if walk(upstreams, start, way) {
                return true;
            }
            way.pop();
        }
    }
    false
}
