//! What a batch changes about refused events, as statements: none where it changes nothing.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use ermine_core::{DeadLetter, ErrorClass, ParkKey, Seq, ShardBatch, Timestamp};

use crate::{
    Store,
    job::{Job, Param},
    value::{to_micros, without_nul},
};

/// Letters in the order of their ids.
type Letters<'a> = BTreeMap<(String, Seq, &'static str, &'a str, &'a str), &'a DeadLetter>;

/// A key as it is stored, and an event behind it.
type Waiting<'a> = (&'static str, &'a str, &'a str, Seq);

/// They follow the check of progress, and lock letters in the order of their ids.
pub(crate) fn jobs<'a>(store: &Store, batch: &'a ShardBatch) -> Vec<Job<'a>> {
    let sql = &store.inner.sql;
    let changes = &batch.letters;
    let mut jobs = Vec::new();
    // Of several letters of one id the last one counts.
    let letters: Letters<'a> = changes.letters.iter().map(|letter| (letter.id.order(), letter)).collect();
    if !letters.is_empty() {
        jobs.push(Job::ours(sql.put_letters.clone(), columns(&letters)));
    }
    let released: BTreeSet<Waiting<'a>> = changes.released.iter().map(waiting).collect();
    let mut parked: BTreeSet<Waiting<'a>> = changes.parked.iter().map(waiting).collect();
    parked.retain(|event| !released.contains(event));
    for (sql, events) in [(&sql.park_events, parked), (&sql.release_events, released)] {
        if !events.is_empty() {
            let mut params: Vec<Param<'a>> = vec![Box::new(batch.shard.to_string())];
            params.extend(keys_and_seqs(events));
            jobs.push(Job::ours(sql.clone(), params));
        }
    }
    jobs
}

fn waiting((key, seq): &(ParkKey, Seq)) -> Waiting<'_> {
    let (kind, tenant, id) = ParkKey::parts(Some(key));
    (kind, tenant, id, *seq)
}

fn keys_and_seqs(events: BTreeSet<Waiting<'_>>) -> [Param<'_>; 4] {
    let all: Vec<Waiting<'_>> = events.into_iter().collect();
    let kinds: Vec<&str> = all.iter().map(|(kind, ..)| *kind).collect();
    let tenants: Vec<&str> = all.iter().map(|(_, tenant, ..)| *tenant).collect();
    let ids: Vec<&str> = all.iter().map(|(_, _, id, _)| *id).collect();
    let seqs: Vec<i64> = all.iter().map(|(.., seq)| seq.as_i64()).collect();
    [Box::new(kinds), Box::new(tenants), Box::new(ids), Box::new(seqs)]
}

/// One array per column.
fn columns<'a>(letters: &Letters<'a>) -> Vec<Param<'a>> {
    let of = |field: fn(&'a DeadLetter) -> &'a str| -> Vec<&'a str> {
        letters.values().map(|letter| field(letter)).collect()
    };
    let numbers = |field: fn(&DeadLetter) -> i64| -> Vec<i64> {
        letters.values().map(|letter| field(letter)).collect()
    };
    let times = |field: fn(&DeadLetter) -> Timestamp| -> Vec<Timestamp> {
        letters.values().map(|letter| to_micros(field(letter))).collect()
    };
    let said = |field: fn(&'a DeadLetter) -> Option<&'a str>| -> Vec<Option<Cow<'a, str>>> {
        letters.values().map(|letter| field(letter).map(without_nul)).collect()
    };
    let bodies: Vec<Cow<'a, str>> = letters.values().map(|letter| body(letter)).collect();
    let settled: Vec<Option<Timestamp>> =
        letters.values().map(|letter| letter.state.settled_at().map(to_micros)).collect();
    let shards: Vec<String> = letters.keys().map(|(shard, ..)| shard.clone()).collect();
    vec![
        Box::new(shards),
        Box::new(numbers(|letter| letter.id.seq.as_i64())),
        Box::new(of(|letter| ParkKey::parts(letter.id.key.as_ref()).0)),
        Box::new(of(|letter| ParkKey::parts(letter.id.key.as_ref()).1)),
        Box::new(of(|letter| ParkKey::parts(letter.id.key.as_ref()).2)),
        Box::new(of(|letter| letter.id.shard.projection().as_str())),
        Box::new(of(|letter| letter.tenant.as_str())),
        Box::new(of(|letter| letter.stream.as_str())),
        Box::new(numbers(|letter| letter.version.as_i64())),
        Box::new(of(|letter| letter.type_name.as_str())),
        Box::new(bodies),
        Box::new(said(|letter| Some(&letter.error))),
        Box::new(said(|letter| letter.class.map(ErrorClass::as_str))),
        Box::new(numbers(|letter| letter.attempts.into())),
        Box::new(times(|letter| letter.first_at)),
        Box::new(times(|letter| letter.last_at)),
        Box::new(of(|letter| letter.state.status().as_str())),
        Box::new(said(|letter| letter.state.by())),
        Box::new(said(|letter| letter.state.reason())),
        Box::new(settled),
    ]
}

/// As it is: what this store has given out is text. Whatever else there may be must not make the letter unwritable.
fn body(letter: &DeadLetter) -> Cow<'_, str> {
    match String::from_utf8_lossy(letter.body.as_bytes()) {
        Cow::Borrowed(text) => without_nul(text),
        Cow::Owned(text) => Cow::Owned(without_nul(&text).into_owned()),
    }
}
