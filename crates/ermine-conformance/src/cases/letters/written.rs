//! What letters say, and that they say it still when they come back.

use ermine_core::{
    Body, DeadLetter, ErrorClass, LetterQuery, ParkKey, Seq, ShardName, StreamId, Timestamp, TypeName,
    Version, ViewId,
};

use super::{
    data::{all, behind_stream, behind_view, commit, ensure_same, keys, letter, moment, states, written},
    ids, nothing,
};
use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, dead_letters, stream, tenant},
    outcome::ensure_eq,
    random::Random,
};

/// What nobody may tidy up; some of it no parser would take.
const BODIES: [&str; 12] = [
    r#"{"b":1,"a":2}"#,
    "{ \"a\" :\t[1 ,\r\n 2] }",
    r#"{"a":1,"a":2,"a":1}"#,
    r#"{"\u00e4":"\u00E4","s":"\/","fox":"\ud83e\udda6"}"#,
    r#"{"n":123456789012345678901234567890.12345678901234567890,"one":1.0,"e":1E+2,"z":-0}"#,
    "  18446744073709551617\n",
    r#""it's {schema}.{table} $1 ? :x \\""#,
    "\"\u{e4}\u{1f9a6}a\u{308}\"",
    "null",
    "[]",
    "",
    "{\"cut off\": [",
];

const ERRORS: [&str; 5] = [
    "",
    "it's\n\tbroken:\r\n  caused by \"x\" \\ % $1 ? :x {schema}",
    "\u{e4}\u{1f9a6} a\u{308} \u{1f} \u{7f}",
    " ",
    "'); drop table letters; --",
];

/// Letters that leave nothing out.
fn letters(shard: &ShardName) -> Result<Vec<DeadLetter>, Stop> {
    let odd = "it's \"x\": \u{e4}\u{1f9a6}\n%_\\";
    let mut letters = Vec::new();
    for (seq, body) in (1..).zip(BODIES) {
        let body = Body::from_store(body.as_bytes().to_vec().into());
        letters.push(DeadLetter { body, ..letter(shard, seq, None) });
    }
    for (seq, error) in (20..).zip(ERRORS) {
        letters.push(DeadLetter { error: error.into(), ..letter(shard, seq, None) });
    }
    for (seq, class) in (30..).zip(ErrorClass::ALL.map(Some).into_iter().chain([None])) {
        letters.push(DeadLetter { class, ..letter(shard, seq, Some(behind_stream(odd))) });
    }
    for (seq, state) in (40..).zip(states()) {
        letters.push(DeadLetter { state, ..letter(shard, seq, Some(behind_view(odd))) });
    }
    // The same event, whatever waits behind it.
    let mut keys: Vec<Option<ParkKey>> = keys().into_iter().map(Some).collect();
    keys.push(None);
    letters.extend(keys.into_iter().map(|key| letter(shard, 50, key)));
    let long = "x".repeat(500);
    letters.push(DeadLetter {
        tenant: tenant(odd),
        stream: stream(odd),
        version: Version::new(Seq::MAX.get()),
        type_name: TypeName::new(odd)?,
        body: Body::encode(&Random::new(5).noise(300_000))?,
        error: odd.repeat(10_000),
        attempts: u32::MAX,
        first_at: moment(1),
        last_at: moment(999_999),
        ..letter(
            shard,
            Seq::MAX.get(),
            Some(ParkKey::Stream { tenant: tenant(odd), stream: StreamId::new(long.clone())? }),
        )
    });
    let view = ParkKey::View(ermine_core::ViewKey::new(ViewId::new(long)?));
    letters.push(DeadLetter {
        attempts: 0,
        last_at: Timestamp::UNIX_EPOCH,
        ..letter(shard, Seq::MAX.get(), Some(view))
    });
    letters.sort_by_cached_key(|letter| {
        let (shard, seq, kind, tenant, id) = letter.id.order();
        (shard, seq, kind, tenant.to_owned(), id.to_owned())
    });
    Ok(letters)
}

pub(crate) async fn a_letter_takes_the_place_of_its_namesake_and_comes_back_as_written(
    bench: &Bench<'_>,
) -> Outcome {
    let (store, other) = (bench.ready().await?, bench.other().await?);
    let theirs = dead_letters(&*other)?;
    let shard: ShardName = "it's \"x\" \u{e4}:V12:3of4:a:cme's".parse()?;
    let mut worker = Worker::take(&*store, shard.clone()).await?;
    let mut letters = letters(&shard)?;
    // Nor does it matter in which order they come.
    let mut backwards = letters.clone();
    backwards.reverse();
    commit(&*store, &mut worker, 100, written(&backwards)).await?;
    ensure_same(&all(theirs).await?, &letters, "all letters")?;

    // Everything but the id becomes that of the next.
    let firsts = letters.clone();
    for (letter, next) in letters.iter_mut().zip(firsts.iter().cycle().skip(1)) {
        *letter = DeadLetter { id: letter.id.clone(), ..next.clone() };
    }
    commit(&*store, &mut worker, 100, written(&letters)).await?;
    ensure_same(&all(theirs).await?, &letters, "all letters")?;

    let last = DeadLetter { error: "the last".into(), attempts: 3, ..letters[0].clone() };
    let twice = [DeadLetter { attempts: 2, ..last.clone() }, last.clone()];
    commit(&*store, &mut worker, 101, written(&twice)).await?;
    letters[0] = last;
    ensure_same(&all(theirs).await?, &letters, "all letters")?;

    commit(&*store, &mut worker, 102, nothing()).await?;
    ensure_same(&all(theirs).await?, &letters, "all letters")?;
    same_event_in_other_shards(&*store, &letters[0]).await
}

async fn same_event_in_other_shards(store: &dyn ermine_core::ports::Store, like: &DeadLetter) -> Outcome {
    let letters = dead_letters(store)?;
    let before = ids(letters).await?.len();
    let names = ["Balance:All", "Balance:V2:All", "balance:All", "Balance:1of2", "Balance:All:acme"];
    for (nth, name) in (1..).zip(names) {
        let shard: ShardName = name.parse()?;
        let mut worker = Worker::take(store, shard.clone()).await?;
        let mut letter = DeadLetter { attempts: nth, ..like.clone() };
        letter.id.shard = shard;
        commit(store, &mut worker, 1, written(&[letter])).await?;
    }
    for (nth, name) in (1..).zip(names) {
        let query = LetterQuery { shard: Some(name.parse()?), ..LetterQuery::default() };
        let found: Vec<u32> = letters.letters(query).await?.iter().map(|letter| letter.attempts).collect();
        ensure_eq!(found, [nth], "attempts in the letters of shard {name}");
    }
    ensure_eq!(ids(letters).await?.len(), before + names.len(), "letters of all shards");
    Ok(())
}
