//! Bad input, and what the error says about it.

use std::num::NonZeroUsize;

use ermine::{
    Error, ErrorKind,
    core::{ShardName, VersionConflict},
    prelude::*,
};
use ermine_testkit::pg::{OwnServer, Settings, TestDatabase};
use ermine_tests::trail::{self, StreamTrail};

use crate::host::{note, start};

#[derive(Clone, Debug, PartialEq, DomainEvent, Serialize, Deserialize)]
enum LetterEvent {
    Written { text: String },
}

fn letter(text: impl Into<String>) -> LetterEvent {
    LetterEvent::Written { text: text.into() }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Letters {
    bytes: usize,
    text: String,
}

impl Aggregate for Letters {
    type Event = LetterEvent;

    fn evolve(letters: Option<Self>, event: &Recorded<LetterEvent>) -> Result<Option<Self>, ApplyError> {
        let LetterEvent::Written { text } = event.data();
        let bytes = letters.map_or(0, |it| it.bytes) + text.len();
        Ok(Some(Self { bytes, text: text.clone() }))
    }
}

async fn letters(url: &str) -> Ermine {
    let builder = Ermine::open(url).project(single_stream::<Letters>("Letters")).daemon(DaemonMode::Solo);
    builder.start().await.unwrap()
}

fn assert_says(error: &Error, parts: &[&str]) {
    let said = error.chain();
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

#[tokio::test]
async fn an_unknown_scheme_is_answered_with_those_that_are_known() {
    let refused = Ermine::open("mysql://localhost/app").start().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    assert_says(
        &refused,
        &["no store is known for the scheme \"mysql\"", "postgres://user@host/database", "memory:"],
    );
}

#[tokio::test]
async fn a_wrong_password_is_called_that_and_not_repeated() {
    let server = OwnServer::start(Settings { tcp: true, ..Settings::default() }).await;
    let url = server.address().with_login("postgres", Some("swordfish")).url("postgres");
    let refused = Ermine::open(url).start().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    assert_says(
        &refused,
        &["cannot connect to PostgreSQL at 127.0.0.1:", "user \"postgres\"", "the password is wrong"],
    );
    assert!(!format!("{refused:?}").contains("swordfish"), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let refused = Ermine::open("postgres://ada@127.0.0.1:1/app").start().await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    assert_says(
        &refused,
        &[
            "cannot connect to PostgreSQL at 127.0.0.1:1, user \"ada\", database \"app\"",
            "is the server running?",
        ],
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let database = TestDatabase::create().await;
    let refused = Ermine::open(database.address().url("nowhere")).start().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    assert_says(&refused, &["database \"nowhere\"", "there is no such database: create it"]);
}

#[tokio::test]
async fn a_store_that_nobody_migrated_is_refused_with_the_remedy() {
    let database = TestDatabase::create().await;
    let builder = || trail::project(Ermine::open(database.url()), "").daemon(DaemonMode::Solo).migrate(false);
    let refused = builder().start().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Refused);
    assert_says(&refused, &["there is no store at", "schema \"ermine\"", "run the migration"]);

    // A store without the tables of a new projection.
    Ermine::open(database.url()).start().await.unwrap();
    let refused = builder().start().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Refused);
    assert_says(&refused, &["there is no table for views of", "Streams", "run the migration"]);
}

#[tokio::test]
async fn projections_of_one_name_are_refused_at_start() {
    let database = TestDatabase::create().await;
    let twice = Ermine::open(database.url())
        .project(single_stream::<Letters>("Letters"))
        .project(single_stream::<StreamTrail>("Letters"))
        .project(single_stream::<StreamTrail>("a:b"));
    let refused = twice.start().await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    assert_says(&refused, &["projection \"Letters\" version 1 is registered 2 times", "a:b"]);
    let client = database.connect().await;
    let row = client.query_one("select to_regnamespace('ermine') is null", &[]).await.unwrap();
    assert!(row.get::<_, bool>(0), "nothing was migrated");
}

#[tokio::test]
async fn a_typo_in_a_shard_name_is_answered_with_the_names_that_exist() {
    let database = TestDatabase::create().await;
    let host = start(&database.url()).await;
    let daemon = host.daemon().unwrap();
    let typo: ShardName = "Steams:All".parse().unwrap();
    let refused = daemon.status_of(&typo).unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
    assert_eq!(refused.to_string(), "there is no shard Steams:All; the shards are: Buckets:All, Streams:All");
    assert!(daemon.status_of(&"Streams:All".parse().unwrap()).is_ok());
    host.stop().await.unwrap();
}

#[tokio::test]
async fn a_conflict_names_the_stream_and_both_versions() {
    let database = TestDatabase::create().await;
    let host = letters(&database.url()).await;
    host.append("letter", [letter("a"), letter("b")]).await.unwrap();
    let conflict = |error: &Error| {
        let VersionConflict { stream, expected, actual, .. } = error.as_conflict().unwrap();
        (stream.to_string(), *expected, *actual)
    };

    let expected = ExpectedVersion::Exact(Version::new(1));
    let refused = host.append_expecting("letter", expected, [letter("c")]).await.unwrap_err();
    assert_eq!(refused.to_string(), "stream \"letter\" is at version 2, and this append expected version 1");
    assert_eq!(conflict(&refused), ("letter".into(), expected, Version::new(2)));

    let expected = ExpectedVersion::NoStream;
    let refused = host.append_expecting("letter", expected, [letter("c")]).await.unwrap_err();
    assert_eq!(conflict(&refused), ("letter".into(), expected, Version::new(2)));

    let expected = ExpectedVersion::Exact(Version::new(7));
    let refused = host.append_expecting("nobody", expected, [letter("c")]).await.unwrap_err();
    assert_eq!(refused.to_string(), "stream \"nobody\" is at version 0, and this append expected version 7");

    // A conflict draws no number.
    let next = host.append("letter", [letter("c")]).await.unwrap();
    assert_eq!(next.position().seq().get(), 3);
    host.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_of_more_than_a_megabyte_goes_through() {
    let database = TestDatabase::create().await;
    let host = letters(&database.url()).await;
    let text: String = ('a'..='z').cycle().take(1_500_000).collect();
    let appended =
        host.append("long", [letter(text.clone()), letter("short"), letter(text.clone())]).await.unwrap();
    host.wait_for(appended.position()).await.unwrap();
    let view = host.load::<Letters>("long").await.unwrap().unwrap();
    assert_eq!((view.bytes, view.text == text), (3_000_005, true));
    let stream = StreamId::new("long").unwrap();
    let events = host.read_stream(&stream, Version::ZERO, NonZeroUsize::new(10).unwrap()).await.unwrap();
    let read: Vec<LetterEvent> =
        events.iter().map(|e| LetterEvent::decode(&e.type_name, &e.body).unwrap()).collect();
    assert!(read == [letter(text.clone()), letter("short"), letter(text)]);
    host.stop().await.unwrap();
}

#[tokio::test]
async fn nul_in_text_is_refused_and_nothing_is_written() {
    let database = TestDatabase::create().await;
    let host = letters(&database.url()).await;
    let refused = host.append("letter", [letter("fine"), letter("a\0b")]).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Serialization { .. }), "{refused:?}");
    assert_says(&refused, &["holds a NUL character", "remove it"]);
    let refused = host.append("a\0b", [letter("fine")]).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    assert_says(&refused, &["stream id", "holds a NUL character"]);
    assert_eq!(host.statistics().await.unwrap().events, 0);

    // What looks like it and is not.
    let appended = host.append("letter", [letter("a\\u0000b \u{1} \u{10FFFF}")]).await.unwrap();
    host.wait_for(appended.position()).await.unwrap();
    let view = host.load::<Letters>("letter").await.unwrap().unwrap();
    assert_eq!(view.text, "a\\u0000b \u{1} \u{10FFFF}");
    host.stop().await.unwrap();
}

#[tokio::test]
async fn an_id_has_1_to_500_bytes() {
    let database = TestDatabase::create().await;
    let host = letters(&database.url()).await;
    let refused = host.append("", [letter("a")]).await.unwrap_err();
    assert_eq!(refused.to_string(), "stream id \"\" has 0 bytes; it must have 1 to 500");
    let refused = host.append("ü".repeat(250) + "x", [letter("a")]).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    assert_says(&refused, &["has 501 bytes; it must have 1 to 500"]);
    let refused = host.load::<Letters>("").await.unwrap_err();
    assert_says(&refused, &["view id \"\" has 0 bytes"]);
    assert_eq!(host.statistics().await.unwrap().events, 0);

    let longest = "ü".repeat(250);
    let appended = host.append(&longest, [letter("a")]).await.unwrap();
    host.wait_for(appended.position()).await.unwrap();
    assert_eq!(host.load::<Letters>(&longest).await.unwrap().unwrap().text, "a");

    // By SQL the same rules hold.
    let client = database.connect().await;
    for stream in ["", &"x".repeat(501)] {
        let sql = "select ermine.append($1, null, array['letter.written'], array['{\"text\":\"a\"}'::json])";
        let refused = client.query_one(sql, &[&stream]).await.unwrap_err();
        let said = refused.as_db_error().unwrap().message();
        assert_eq!(said, "a stream id has 1 to 500 bytes and a tenant id up to 200");
    }
    host.stop().await.unwrap();
}

#[tokio::test]
async fn an_append_without_events_is_refused() {
    let database = TestDatabase::create().await;
    let host = letters(&database.url()).await;
    let refused = host.append("letter", Vec::<LetterEvent>::new()).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Configuration);
    assert_says(&refused, &["an append without events for stream \"letter\""]);
    host.stop().await.unwrap();
}

#[tokio::test]
async fn views_of_a_type_that_nobody_registered_are_answered_with_the_types_that_are() {
    let database = TestDatabase::create().await;
    let host = start(&database.url()).await;
    let refused = host.load::<Letters>("letter").await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
    assert_says(
        &refused,
        &["no projection with views of type", "Letters is registered", "StreamTrail", "BucketTrail"],
    );
    assert!(host.load::<StreamTrail>("nobody").await.unwrap().is_none());
    host.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_that_cannot_be_decoded_pauses_its_shard_alone_and_says_which_event_it_is() {
    let database = TestDatabase::create().await;
    let client = database.connect().await;
    let host = trail::project(Ermine::open(database.url()), "")
        .project(
            single_stream::<Letters>("Letters").errors(ErrorPolicy::new().skip_serialization_errors(false)),
        )
        .daemon(DaemonMode::Solo)
        .start()
        .await
        .unwrap();
    let poison =
        "select ermine.append('letter', null, array['letter.written'], array['{\"text\":17}'::json])";
    client.batch_execute(poison).await.unwrap();
    let after = note(&client, "fine").await;

    let said = ermine_testkit::eventually(crate::host::DEADLINE, || async {
        let letters = host.daemon().unwrap().status_of(&"Letters:All".parse().unwrap()).unwrap().to_string();
        if letters.contains("paused by policy until") { Ok(letters) } else { Err(letters) }
    })
    .await;
    for part in ["event 1 (letter.written, version 1 of stream \"letter\")", "the body does not fit type"] {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
    ermine_testkit::eventually(crate::host::DEADLINE, || async {
        let streams = host.daemon().unwrap().status_of(&"Streams:All".parse().unwrap()).unwrap();
        streams.progress >= after.seq()
    })
    .await;
    host.stop().await.unwrap();
}
