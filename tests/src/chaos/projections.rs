//! One projection of every kind that has to live through chaos, and the comparison with the log.

use std::collections::{BTreeMap, BTreeSet};

use ermine::{
    Ermine, ErmineBuilder,
    core::{
        Aggregate, ApplyError, ColumnKind, DomainEvent, LetterQuery, PageEffects, PageError, ProjectionName,
        Recorded, ShardName, Subscriber, Value, ViewTable, composite, flat_table, multi_stream,
        single_stream, subscription,
    },
    postgres,
};
use ermine_testkit::pg::OwnedClient;
use serde::{Deserialize, Serialize};

use crate::trail::{self, EVERYTHING, Log, NOTE, NoteEvent, Trail, bucket_id, differences, views};

/// An event that one of the projections refuses.
pub(super) const POISON: &str = "chaos.poisoned";
/// What that projection is called.
const PICKY: &str = "Picky";
/// The projections whose views are locked and made to fail, as their tables call them.
pub(super) const TARGETS: [&str; 3] = ["streams", "buckets", "picky"];

/// A note, or what is refused.
#[derive(Clone, Debug, DomainEvent)]
#[event(prefix = "chaos")]
enum PickyEvent {
    #[event(name = "note.noted")]
    Noted {
        #[serde(rename = "bucket")]
        _bucket: u64,
    },
    Poisoned,
}

/// What was applied of a stream that has poison in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Picky(Trail);

impl Aggregate for Picky {
    type Event = PickyEvent;

    fn evolve(view: Option<Self>, event: &Recorded<PickyEvent>) -> Result<Option<Self>, ApplyError> {
        match event.data() {
            PickyEvent::Noted { .. } => Ok(Some(Self(Trail::with(view.map(|it| it.0), event)))),
            PickyEvent::Poisoned => Err(ApplyError::msg("poison")),
        }
    }
}

/// The view of a member of the composite.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Member<const STAGE: u8>(Trail);

impl<const STAGE: u8> Aggregate for Member<STAGE> {
    type Event = NoteEvent;

    fn evolve(view: Option<Self>, event: &Recorded<NoteEvent>) -> Result<Option<Self>, ApplyError> {
        Ok(Some(Self(Trail::with(view.map(|it| it.0), event))))
    }
}

/// Writes down every note that it is given, with its progress.
struct Scribe {
    table: ViewTable,
}

#[ermine::prelude::async_trait]
impl Subscriber for Scribe {
    type Event = NoteEvent;

    async fn receive(
        &self,
        page: &[Recorded<NoteEvent>],
        effects: &mut PageEffects,
    ) -> Result<(), PageError> {
        for event in page {
            let seq = event.seq().map_or(0, ermine::core::Seq::as_i64);
            let sql = "insert into public.received (seq) values ($1)";
            effects.of(event).operation(postgres::sql(&self.table, sql, [Value::from(seq)]));
        }
        Ok(())
    }
}

/// The table that holds the views of one of [`TARGETS`].
pub(super) async fn table_of(client: &OwnedClient, target: &str) -> Result<String, tokio_postgres::Error> {
    let sql = "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'ermine' and c.relkind = 'r' and c.relname ~ $1";
    Ok(client.query_one(sql, &[&format!("^view_{target}_[0-9a-z]+_v1_g[0-9]+$")]).await?.get(0))
}

/// Where the subscription writes.
pub(super) async fn prepare(client: &OwnedClient) {
    let sql = "create table public.received (place bigserial primary key, seq bigint not null)";
    client.batch_execute(sql).await.expect("a superuser may create a table");
}

pub(super) fn project(builder: ErmineBuilder) -> ErmineBuilder {
    let name = |name: &str| ProjectionName::new(name).expect("a name of a projection");
    let buckets = |event: &Recorded<NoteEvent>| [bucket_id(event.data().bucket()), EVERYTHING.to_owned()];
    let rows = flat_table::<NoteEvent>("Rows", "note_rows")
        .column_or("events", ColumnKind::Integer, 0)
        .column_or("buckets", ColumnKind::Integer, 0)
        .on(NOTE, |row| row.increment("events", 1).increment_from("buckets", "bucket"));
    let both = composite("Both").stage([single_stream::<Member<1>>("First").into()]).stage([multi_stream::<
        Member<2>,
        _,
        _,
    >(
        "Second", buckets,
    )
    .into()]);
    let scribe = Scribe { table: ViewTable::new(name("Scribe"), 1) };
    trail::project(builder, "")
        .project(single_stream::<Picky>(PICKY))
        .project(rows)
        .project(both)
        .project(subscription("Scribe", scribe))
}

/// What is wrong with views, letters and effects; empty when nothing is.
pub(super) async fn compare(client: &OwnedClient, host: &Ermine) -> (Log, Vec<String>) {
    let log = Log::read(client).await;
    let mut wrong = log.compare(host).await;
    let of = |all: Vec<(String, Trail)>| all.into_iter().collect::<BTreeMap<String, Trail>>();
    let picky = views::<Picky>(host).await.into_iter().map(|(id, view)| (id, view.0)).collect();
    let first = views::<Member<1>>(host).await.into_iter().map(|(id, view)| (id, view.0)).collect();
    let second = views::<Member<2>>(host).await.into_iter().map(|(id, view)| (id, view.0)).collect();
    wrong.extend(differences("stream beside poison", &log.streams, &of(picky)));
    wrong.extend(differences("stream of the composite", &log.streams, &of(first)));
    wrong.extend(differences("bucket of the composite", &log.buckets, &of(second)));
    wrong.extend(compare_rows(client).await);
    wrong.extend(compare_received(client, &log).await);
    wrong.extend(compare_letters(client, host).await);
    (log, wrong)
}

async fn compare_rows(client: &OwnedClient) -> Option<String> {
    let sql = "select count(*) from (
           select stream_id as id, count(*) as events, sum((data->>'bucket')::bigint) as buckets
           from ermine.events where type = 'note.noted' group by stream_id) as wanted
         full join ermine.note_rows as rows using (id)
         where (wanted.events, wanted.buckets) is distinct from (rows.events, rows.buckets)";
    let row = client.query_one(sql, &[]).await.expect("rows can be compared");
    let wrong: i64 = row.get(0);
    (wrong > 0).then(|| format!("{wrong} rows of the flat table are wrong"))
}

async fn compare_received(client: &OwnedClient, log: &Log) -> Option<String> {
    let rows = client.query("select seq from public.received order by place", &[]).await;
    let received: Vec<i64> =
        rows.expect("what was received can be read").iter().map(|row| row.get(0)).collect();
    if received.is_sorted_by(|a, b| a < b) && received.len() == log.seqs.len() {
        return None;
    }
    let once: BTreeSet<i64> = received.iter().copied().collect();
    Some(format!(
        "the subscription received {} notes, {} of them once, in order: {}; there are {}",
        received.len(),
        once.len(),
        received.is_sorted(),
        log.seqs.len()
    ))
}

async fn compare_letters(client: &OwnedClient, host: &Ermine) -> Vec<String> {
    let sql = "select seq from ermine.events where type = $1 order by seq";
    let rows = client.query(sql, &[&POISON]).await.expect("the log can be read");
    let poison: BTreeSet<u64> =
        rows.iter().map(|row| ermine::core::Seq::from_i64(row.get(0)).get()).collect();
    let letters = host.dead_letters().unwrap_or_else(|err| panic!("letters: {err:?}"));
    let letters = letters.list(LetterQuery::default()).await.unwrap_or_else(|err| panic!("letters: {err:?}"));
    let picky: ShardName = format!("{PICKY}:All").parse().expect("the name of a shard");
    let expected =
        |letter: &ermine::core::DeadLetter| letter.id.shard == picky && poison.contains(&letter.id.seq.get());
    let mut wrong: Vec<String> = letters
        .iter()
        .filter(|letter| !expected(letter))
        .map(|letter| format!("a letter that should not be there: {}: {}", letter.id, letter.error))
        .collect();
    let found: BTreeSet<u64> = letters.iter().map(|letter| letter.id.seq.get()).collect();
    let missing: Vec<u64> = poison.difference(&found).copied().collect();
    if !missing.is_empty() {
        wrong.push(format!("no letters for the events {missing:?}"));
    }
    wrong
}
