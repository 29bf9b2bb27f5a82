use ermine_core::{
    AppendBatch, EventFilter, ExpectedVersion, Version,
    ports::{EventAppender, SchemaAdmin},
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
