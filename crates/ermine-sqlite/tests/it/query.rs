//! Questions that SQLite could not answer as they are asked.

use std::num::NonZeroUsize;

use ermine_core::{
    FieldIndex, FieldKind, Filter, Operation, TenantId, ViewQuery, field,
    ports::{Registration, SchemaAdmin, TableSpec, ViewStore},
};

use crate::common::{Place, next_batch, put, registration, table};

fn meaning(filter: Filter) -> ViewQuery {
    ViewQuery { filter: Some(filter), ..ViewQuery::new(table(), NonZeroUsize::MAX) }
}

#[tokio::test]
async fn a_filter_may_list_more_than_sqlite_can_take() {
    let place = Place::new();
    let store = place.store().await;
    let views = (0..3).map(|nth| put(&format!("trip-{nth}"), &format!(r#"{{"id":"{nth}"}}"#)));
    store.commit(next_batch(&store, views.collect()).await).await.unwrap();
    let listed = (1..=1_500).map(|nth| field("id").unwrap().eq(nth.to_string()));
    let query = meaning(Filter::Or(listed.collect()));
    assert_eq!(store.query(query.clone()).await.unwrap().len(), 2);
    assert_eq!(store.count(query.clone()).await.unwrap(), 2);
    let delete = Operation::DeleteWhere {
        table: table(),
        tenant: TenantId::default(),
        filter: query.filter.clone().unwrap(),
    };
    store.commit(next_batch(&store, vec![delete]).await).await.unwrap();
    assert_eq!(store.count(query).await.unwrap(), 0);
    assert_eq!(store.count(ViewQuery::new(table(), NonZeroUsize::MAX)).await.unwrap(), 1);
}

/// As after a reset by another process that registers fewer indexes.
#[tokio::test]
async fn an_index_that_another_process_has_dropped_is_not_missed() {
    let place = Place::new();
    let store = place.open().await;
    let km = || field("km").unwrap();
    let indexes = vec![FieldIndex { field: km(), kind: FieldKind::Number }];
    let registered = Registration { tables: vec![TableSpec { table: table(), indexes }] };
    let far = meaning(km().ge(7));
    let drop_index = async || {
        store.migrate(&registered).await.unwrap();
        store.commit(next_batch(&store, vec![put("trip-1", r#"{"km":8}"#)]).await).await.unwrap();
        assert_eq!(store.count(far.clone()).await.unwrap(), 1);
        let name = "select name from sqlite_schema where name like 'view_trip_v1_g1_by%'";
        let name: String = place.sql().query_row(name, [], |row| row.get(0)).unwrap();
        place.sql().execute_batch(&format!("drop index {name}")).unwrap();
    };
    drop_index().await;
    assert_eq!(store.count(far.clone()).await.unwrap(), 1);
    drop_index().await;
    assert_eq!(store.query(far.clone()).await.unwrap().len(), 1);
    drop_index().await;
    let filter = far.filter.clone().unwrap();
    let delete = Operation::DeleteWhere { table: table(), tenant: TenantId::default(), filter };
    store.commit(next_batch(&store, vec![delete]).await).await.unwrap();
    assert_eq!(store.count(far).await.unwrap(), 0);
    store.migrate(&registration()).await.unwrap();
}
