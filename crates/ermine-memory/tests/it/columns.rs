use std::sync::Arc;

use ermine_core::{
    Body, Column, ColumnKind, Columns, ErrorKind, Layout, Operation, Result, Seq, ShardBatch, SqlName,
    StoredView, Version, ViewTable,
    ports::{ProgressStore, Registration, SchemaAdmin, ViewStore},
};
use ermine_memory::MemoryStore;

use crate::support::{key, observe, shard, table};

fn sheet(columns: &[(&str, ColumnKind, bool)]) -> ViewTable {
    let column = |(name, kind, nullable): &(&str, ColumnKind, bool)| Column {
        name: SqlName::new(*name).unwrap(),
        kind: *kind,
        nullable: *nullable,
    };
    let columns =
        Columns { name: SqlName::new("sheet").unwrap(), columns: columns.iter().map(column).collect() };
    table().with_layout(Layout::Columns(Arc::new(columns)))
}

async fn put(store: &MemoryStore, table: &ViewTable, row: &str) -> Result<()> {
    let taken = store.take_shards(&[shard()]).await?.remove(0);
    let incarnation = observe(store).await.incarnation;
    let view =
        StoredView { body: Body::from_json(row.to_owned())?, version: Version::FIRST, seq: Seq::new(1) };
    let operations = vec![Operation::Store { table: table.clone(), key: key("trip-1"), view }];
    let batch = ShardBatch::new(taken.shard, taken.epoch, incarnation, taken.seq, taken.seq);
    store.commit(ShardBatch { operations, ..batch }).await
}

async fn row(store: &MemoryStore) -> String {
    // By its name alone, as somebody who does not know the columns.
    let view = store.load_views(&table(), &[key("trip-1")]).await.unwrap().remove(0).unwrap();
    String::from_utf8(view.body.as_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn what_a_column_cannot_hold_is_refused_by_its_name() {
    let store = MemoryStore::new();
    let table = sheet(&[("km", ColumnKind::Integer, false), ("at", ColumnKind::Timestamp, true)]);
    store.migrate(&Registration { tables: vec![table.clone().into()] }).await.unwrap();
    for (bad, said) in [
        (r#"{"km":1,"extra":2}"#, "there is no column \"extra\""),
        (r#"{}"#, "column \"km\" must not be null"),
        (r#"{"km":1.5}"#, "column \"km\" holds an integer, and the row has 1.5 there"),
        (
            r#"{"km":9223372036854775808}"#,
            "column \"km\" holds an integer, and the row has 9223372036854775808 there",
        ),
        (r#"{"km":1,"at":true}"#, "column \"at\" holds a timestamp, and the row has true there"),
        (r#"[1]"#, "the body of a row is an object with a member per column"),
    ] {
        let refused = put(&store, &table, bad).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Serialization { seq: None }, "{bad}");
        let refused = refused.chain();
        assert!(refused.contains("row \"trip-1\"") && refused.contains(said), "{bad}: {refused}");
    }
    // The layout is that of the table as it was made, whoever writes to it.
    assert!(put(&store, &self::table(), "{}").await.is_err());
    put(&store, &self::table(), r#"{"km":1,"at":"2026-01-31T14:00:00+02:00"}"#).await.unwrap();
    assert_eq!(row(&store).await, r#"{"at":"2026-01-31T12:00:00.000000Z","km":1}"#);
}

#[tokio::test]
async fn a_crash_takes_new_columns_back() {
    let store = MemoryStore::new();
    let narrow = sheet(&[("km", ColumnKind::Real, false)]);
    let wide = sheet(&[("driver", ColumnKind::Text, true), ("km", ColumnKind::Real, false)]);
    store.migrate(&Registration { tables: vec![narrow.clone().into()] }).await.unwrap();
    put(&store, &narrow, r#"{"km":3}"#).await.unwrap();
    let registration = Registration { tables: vec![wide.into()] };
    assert_eq!(store.check(&registration).await.unwrap_err().kind(), &ErrorKind::Refused);
    store.migrate(&registration).await.unwrap();
    assert_eq!(row(&store).await, r#"{"driver":null,"km":3.0}"#);
    store.crash_losing(1);
    assert_eq!(row(&store).await, r#"{"km":3.0}"#);
    store.check(&Registration { tables: vec![narrow.into()] }).await.unwrap();
}
