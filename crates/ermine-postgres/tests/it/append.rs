use ermine_core::{
    AppendBatch, EventFilter, ExpectedVersion, Version,
    ports::{EventAppender, HighWaterSource, ProgressStore, SchemaAdmin},
};

use crate::common::{Fixture, append, batch, last_and_mark, names, page, registration, stream};

#[tokio::test]
async fn what_is_appended_is_read_back_page_by_page() {
    let it = Fixture::new().await;
    it.store.check(&registration()).await.unwrap();
    let first = append(&it.store, "trip-1", ExpectedVersion::NoStream, 3).await.unwrap();
    assert_eq!((first.position().seq().get(), first.version()), (3, Version::new(3)));
    let many = AppendBatch::new().stream(stream("trip-2", 2)).stream(stream("trip-1", 1));
    let second = it.store.append(many).await.unwrap();
    assert_eq!(second.versions, [Version::new(2), Version::new(4)]);
    it.store.append(batch("trip-3", 1)).await.unwrap();
    assert_eq!(last_and_mark(&it.observe().await), (7, 7));
    for events_max in [2, 1000, 5000] {
        let filter = EventFilter::new(names(&["Travelled"]), []);
        let page = page(&it.store, 0, 7, events_max, filter).await;
        let seen: Vec<_> =
            page.events.iter().map(|e| (e.seq.get(), e.stream.as_str(), e.version.get())).collect();
        let all = [
            (1, "trip-1", 1),
            (2, "trip-1", 2),
            (3, "trip-1", 3),
            (4, "trip-2", 1),
            (5, "trip-2", 2),
            (6, "trip-1", 4),
            (7, "trip-3", 1),
        ];
        let ends = all.len().min(events_max);
        assert_eq!(seen, all[..ends]);
        assert_eq!(page.range.ceiling().get(), if events_max == 2 { 2 } else { 7 });
    }
}

#[tokio::test]
async fn an_append_in_a_transaction_of_ones_own_is_visible_with_it() {
    let it = Fixture::new().await;
    let mut client = it.sql().await;
    client.batch_execute("create table public.orders (id text)").await.unwrap();
    for commit in [false, true] {
        let transaction = client.transaction().await.unwrap();
        transaction.execute("insert into public.orders values ('one')", &[]).await.unwrap();
        let appended = it.store.append_in(&transaction, batch("trip-1", 2)).await.unwrap();
        let (last, mark) = last_and_mark(&it.observe().await);
        assert_eq!(
            (last, mark),
            (appended.position().seq().get(), last - 2),
            "the transaction holds the mark"
        );
        let holders = it.store.explain().await.unwrap();
        assert_eq!((holders.len(), holders[0].floor.get()), (1, mark));
        assert!(holders[0].state.starts_with("idle in transaction"), "{holders:?}");
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        assert_eq!(last_and_mark(&it.observe().await), (last, last));
        let statistics = it.store.statistics().await.unwrap();
        assert_eq!((statistics.events, statistics.streams), if commit { (2, 1) } else { (0, 0) });
    }
    let orders: i64 = client.query_one("select count(*) from public.orders", &[]).await.unwrap().get(0);
    assert_eq!(orders, 1);
}

#[tokio::test]
async fn a_conflict_in_a_transaction_of_ones_own_can_be_rolled_back_to_a_savepoint() {
    let it = Fixture::new().await;
    append(&it.store, "trip-1", ExpectedVersion::NoStream, 2).await.unwrap();
    let mut client = it.sql().await;
    let mut transaction = client.transaction().await.unwrap();
    it.store.append_in(&transaction, batch("trip-2", 1)).await.unwrap();
    let savepoint = transaction.savepoint("before").await.unwrap();
    let stale =
        AppendBatch::new().stream(stream("trip-1", 1).expecting(ExpectedVersion::Exact(Version::FIRST)));
    let conflict = it.store.append_in(&savepoint, stale).await.unwrap_err();
    let conflict = conflict.as_conflict().unwrap().clone();
    assert_eq!((conflict.actual, conflict.stream.as_str()), (Version::new(2), "trip-1"));
    savepoint.rollback().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(it.store.statistics().await.unwrap().events, 3);
}
