use ermine_core::{
    ErrorKind, EventRange, ExpectedVersion, LetterQuery, PageRequest, Seq,
    ports::{DeadLetterStore, EventReader, SchemaAdmin, ViewStore, WishStore},
};

use tokio::task::JoinSet;

use crate::{
    common::{DEADLINE, Fixture, append, key, last_and_mark, names, registration, table},
    letters,
    worker::{Worker, put},
};

#[tokio::test]
async fn a_reset_store_begins_anew_and_keeps_its_promises() {
    let it = Fixture::new().await;
    append(&it.store, "s", ExpectedVersion::Any, 3).await.unwrap();
    let worker = Worker::take(&it.store).await;
    worker.commit_to(3, vec![put(&table(), "a", "1")], letters::one_of_each()).await.unwrap();
    it.store.put_wish(letters::wish("Trip:All")).await.unwrap();
    let before = it.observe().await.incarnation;
    it.store.reset(&registration()).await.unwrap();
    it.store.check(&registration()).await.unwrap();
    assert_eq!(last_and_mark(&it.observe().await), (0, 0));
    assert_eq!(it.store.load_views(&table(), &[key("a")]).await.unwrap(), [None]);
    assert_eq!(it.store.count_letters(LetterQuery::default()).await.unwrap(), 0);
    assert_eq!(it.store.parked_keys(&worker.shard).await.unwrap(), []);
    assert_eq!(it.store.wishes().await.unwrap(), []);
    let first = append(&it.store, "s", ExpectedVersion::NoStream, 1).await.unwrap();
    assert_eq!(first.position.seq().get(), 1, "numbers begin at 1");
    let page = PageRequest {
        range: EventRange::new(Seq::ZERO, Seq::new(1)).unwrap(),
        filter: ermine_core::EventFilter::new(names(&["T"]), []),
        events_max: 1.try_into().unwrap(),
        bytes_max: 1,
        incarnation: before,
    };
    assert_eq!(*it.store.load_page(page).await.unwrap_err().kind(), ErrorKind::Rewound);
    assert_eq!(*worker.commit(Vec::new()).await.unwrap_err().kind(), ErrorKind::Rewound);
    let truncate = it.sql().await.batch_execute("truncate ermine.events").await.unwrap_err();
    assert_eq!(truncate.code().unwrap().code(), "EM005", "and the log cannot be emptied otherwise");
}

#[tokio::test]
async fn a_reset_waits_for_an_append_that_has_begun() {
    let it = Fixture::new().await;
    append(&it.store, "s", ExpectedVersion::Any, 1).await.unwrap();
    let open = it.sql().await;
    open.batch_execute("begin; select from ermine.streams for update").await.unwrap();
    let store = it.store.clone();
    let mut resets = JoinSet::new();
    resets.spawn(async move { store.reset(&registration()).await });
    ermine_testkit::eventually(DEADLINE, || async {
        let waits = it.sql().await.query("select 1 from pg_locks where not granted", &[]).await.unwrap();
        if waits.is_empty() { Err("nobody waits") } else { Ok(()) }
    })
    .await;
    open.batch_execute("select ermine.append('s', 1, array['T'], array['1']::json[]); commit").await.unwrap();
    resets.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(last_and_mark(&it.observe().await), (0, 0));
}
