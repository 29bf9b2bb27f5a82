//! Flat tables, as plain SQL sees them.

use std::{num::NonZeroUsize, sync::Arc};

use ermine_core::{
    Body, Column, ColumnKind, Columns, ErrorKind, FieldIndex, FieldKind, Layout, Operation, ProjectionName,
    Seq, SqlName, StoredView, Version, ViewQuery, ViewTable, field,
    ports::{Registration, SchemaAdmin, TableSpec, ViewStore},
};
use ermine_sqlite::{Store, sql};
use rusqlite::types::Value as SqlValue;

use crate::common::{Place, key, next_batch};

const KM: (&str, ColumnKind, bool) = ("km", ColumnKind::Real, false);
const ALL: [(&str, ColumnKind, bool); 6] = [
    ("driver", ColumnKind::Text, false),
    KM,
    ("stops", ColumnKind::Integer, true),
    ("ended", ColumnKind::Boolean, true),
    ("started_at", ColumnKind::Timestamp, true),
    ("order", ColumnKind::Json, true),
];

fn flat(version: u32, name: &str, columns: &[(&str, ColumnKind, bool)]) -> ViewTable {
    let column = |(name, kind, nullable): &(&str, ColumnKind, bool)| Column {
        name: SqlName::new(*name).unwrap(),
        kind: *kind,
        nullable: *nullable,
    };
    let columns =
        Columns { name: SqlName::new(name).unwrap(), columns: columns.iter().map(column).collect() };
    let table = ViewTable::new(ProjectionName::new("Trip table").unwrap(), version);
    table.with_layout(Layout::Columns(Arc::new(columns)))
}

fn row(table: &ViewTable, id: &str, json: &str) -> Operation {
    let body = Body::from_json(json.to_owned()).unwrap();
    let view = StoredView { body, version: Version::FIRST, seq: Seq::new(1) };
    Operation::Store { table: table.clone(), key: key(id), view }
}

async fn migrate(store: &Store, tables: &[ViewTable]) -> ermine_core::Result<()> {
    let tables = tables.iter().cloned().map(TableSpec::from).collect();
    store.migrate(&Registration { tables }).await
}

#[tokio::test]
async fn plain_sql_reads_rows_with_the_types_of_their_columns() {
    let place = Place::new();
    let store = place.open().await;
    let table = flat(1, "trips", &ALL);
    migrate(&store, std::slice::from_ref(&table)).await.unwrap();
    let json = r#"{"driver":"ada","km":12,"stops":3,"ended":true,"started_at":"2026-01-31T13:00:00+01:00","order":{"a":[1]}}"#;
    let operations = vec![row(&table, "trip-1", json), row(&table, "trip-2", r#"{"driver":"bob","km":0.5}"#)];
    store.commit(next_batch(&store, operations).await).await.unwrap();
    let read = |sql: &str| {
        place.sql().query_row(sql, [], |row| {
            (0..8).map(|nth| row.get(nth)).collect::<rusqlite::Result<Vec<SqlValue>>>()
        })
    };
    let text = |text: &str| SqlValue::Text(text.into());
    let wanted = [
        text(""),
        text("trip-1"),
        text("ada"),
        SqlValue::Real(12.0),
        SqlValue::Integer(3),
        SqlValue::Integer(1),
        text("2026-01-31T12:00:00.000000Z"),
        text(r#"{"a":[1]}"#),
    ];
    assert_eq!(read("select * from trips where driver = 'ada'").unwrap(), wanted);
    let nulls = read("select * from trips where driver = 'bob'").unwrap();
    assert_eq!(nulls[4..], [SqlValue::Null, SqlValue::Null, SqlValue::Null, SqlValue::Null]);

    let names = "select group_concat(name) from pragma_table_info('trips')";
    let names: String = place.sql().query_row(names, [], |row| row.get(0)).unwrap();
    assert_eq!(names, "tenant,id,driver,km,stops,ended,started_at,order");
}

/// Whoever only knows the name of a table, as an operator's command does, gets its rows as well.
#[tokio::test]
async fn a_table_opened_by_its_name_alone_gives_rows_too() {
    let place = Place::new();
    let store = place.open().await;
    let table = flat(1, "trips", &ALL);
    migrate(&store, std::slice::from_ref(&table)).await.unwrap();
    store
        .commit(next_batch(&store, vec![row(&table, "trip-1", r#"{"driver":"ada","km":1}"#)]).await)
        .await
        .unwrap();
    let by_name = ViewTable::new(ProjectionName::new("Trip table").unwrap(), 1);
    for store in [store, place.open().await] {
        let found = store.load_views(&by_name, &[key("trip-1")]).await.unwrap().remove(0).unwrap();
        let body: serde_json::Value = found.body.decode().unwrap();
        assert_eq!((&body["driver"], &body["stops"]), (&"ada".into(), &serde_json::Value::Null));
    }
}

#[tokio::test]
async fn two_versions_stand_side_by_side_under_names_of_their_own() {
    let place = Place::new();
    let store = place.open().await;
    let (old, new) = (flat(1, "trips", &ALL), flat(2, "trips", &[KM]));
    migrate(&store, &[old.clone(), new.clone()]).await.unwrap();
    let operations =
        vec![row(&old, "trip-1", r#"{"driver":"ada","km":1}"#), row(&new, "trip-1", r#"{"km":2}"#)];
    store.commit(next_batch(&store, operations).await).await.unwrap();
    let km =
        |name: &str| place.sql().query_row(&format!("select km from {name}"), [], |row| row.get::<_, f64>(0));
    assert_eq!((km("trips").unwrap(), km("trips_v2").unwrap()), (1.0, 2.0));
}

#[tokio::test]
async fn a_new_column_is_seen_by_plain_sql() {
    let place = Place::new();
    let store = place.open().await;
    migrate(&store, &[flat(1, "trips", &[KM])]).await.unwrap();
    let wide =
        flat(1, "trips", &ALL.map(|(name, kind, nullable)| (name, kind, nullable || name == "driver")));
    migrate(&store, std::slice::from_ref(&wide)).await.unwrap();
    store
        .commit(next_batch(&store, vec![row(&wide, "trip-1", r#"{"driver":"ada","km":1}"#)]).await)
        .await
        .unwrap();
    let driver: String = place.sql().query_row("select driver from trips", [], |row| row.get(0)).unwrap();
    assert_eq!(driver, "ada");
}

#[tokio::test]
async fn columns_that_cannot_be_are_refused() {
    let place = Place::new();
    let store = place.open().await;
    let error = migrate(&store, &[flat(1, "events", &[KM])]).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Refused);
    let words = "the name \"events\" of the columns of Trip table version 1 generation 1 is taken by another table: choose another name";
    assert_eq!(error.to_string(), words);
    let error = migrate(&store, &[flat(1, "trips", &[])]).await.unwrap_err();
    assert_eq!(error.to_string(), "table trips has no columns: declare at least one");
    let error =
        migrate(&store, &[flat(1, "trips", &[("seq", ColumnKind::Integer, false)])]).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Configuration);
    let words = "a column of table trips cannot be called \"seq\": every table has one of that name";
    assert_eq!(error.to_string(), words);
}

#[tokio::test]
async fn a_statement_of_sqlite_and_a_query_meet_in_the_columns() {
    let place = Place::new();
    let store = place.open().await;
    let table = flat(1, "trips", &ALL);
    let indexes = vec![FieldIndex { field: field("km").unwrap(), kind: FieldKind::Number }];
    store.migrate(&Registration { tables: vec![TableSpec { table: table.clone(), indexes }] }).await.unwrap();
    let rows =
        (1..=9).map(|nth| row(&table, &format!("trip-{nth}"), &format!(r#"{{"driver":"ada","km":{nth}}}"#)));
    let further = sql(&table, "update {table} set km = km * 10 where km >= ?1", [8.into()]);
    store.commit(next_batch(&store, rows.chain([further]).collect()).await).await.unwrap();
    let far = field("km").unwrap().gt(7);
    let order = vec![field("km").unwrap().descending()];
    let query = ViewQuery { filter: Some(far), order, ..ViewQuery::new(table, NonZeroUsize::MAX) };
    let found = store.query(query.clone()).await.unwrap();
    let ids: Vec<&str> = found.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["trip-9", "trip-8"]);
    assert_eq!(store.count(query).await.unwrap(), 2);
}

#[tokio::test]
async fn what_does_not_fit_a_column_is_the_fault_of_the_row() {
    let place = Place::new();
    let store = place.open().await;
    let table = flat(1, "trips", &ALL);
    migrate(&store, std::slice::from_ref(&table)).await.unwrap();
    for json in [
        r#"{"driver":"ada","km":null}"#,
        r#"{"driver":"ada","km":"far"}"#,
        r#"{"driver":"ada","km":1,"weather":"rain"}"#,
        "7",
    ] {
        let batch = next_batch(&store, vec![row(&table, "trip-1", json)]).await;
        let refused = store.commit(batch).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Serialization { seq: None }, "{}", refused.chain());
        assert!(refused.to_string().starts_with("cannot store row \"trip-1\" of "), "{refused}");
    }
}

#[tokio::test]
async fn a_column_that_another_process_has_added_is_seen_after_migrating() {
    let place = Place::new();
    let store = place.open().await;
    let [narrow, wide] = [flat(1, "trips", &ALL[..2]), flat(1, "trips", &ALL[..3])];
    migrate(&store, std::slice::from_ref(&narrow)).await.unwrap();
    store
        .commit(next_batch(&store, vec![row(&narrow, "trip-1", r#"{"driver":"ada","km":7}"#)]).await)
        .await
        .unwrap();
    let by_name = ViewTable::new(narrow.projection().clone(), narrow.version());
    let stops = async || {
        let view = store.load_views(&by_name, &[key("trip-1")]).await.unwrap().remove(0).unwrap();
        view.body.decode::<serde_json::Value>().unwrap().get("stops").cloned()
    };
    assert_eq!(stops().await, None);
    migrate(&place.open().await, std::slice::from_ref(&wide)).await.unwrap();
    migrate(&store, std::slice::from_ref(&wide)).await.unwrap();
    assert_eq!(stops().await, Some(serde_json::Value::Null));
}
