//! Flat tables as plain SQL sees them.

use std::sync::Arc;

use ermine_core::{
    Column, ColumnKind, Columns, ErrorKind, FieldIndex, FieldKind, Layout, ProjectionName, Result, SqlName,
    Version, ViewPin, ViewTable, field,
    ports::{EventAppender, Registration, SchemaAdmin, TableSpec, ViewStore},
};

use crate::{
    common::{Fixture, key},
    worker::{Worker, put},
};

type Cells<'a> = &'a [(&'a str, ColumnKind, bool)];

const NARROW: Cells<'_> = &[("driver", ColumnKind::Text, false), ("seq", ColumnKind::Integer, true)];

fn flat(name: &str, version: u32, cells: Cells<'_>) -> ViewTable {
    let column = |(name, kind, nullable): &(&str, ColumnKind, bool)| Column {
        name: SqlName::new(*name).unwrap(),
        kind: *kind,
        nullable: *nullable,
    };
    let columns = Columns { name: SqlName::new(name).unwrap(), columns: cells.iter().map(column).collect() };
    ViewTable::new(ProjectionName::new("Mileage").unwrap(), version)
        .with_layout(Layout::Columns(Arc::new(columns)))
}

async fn migrate(it: &Fixture, table: &ViewTable) -> Result<()> {
    it.store.migrate(&Registration { tables: vec![table.clone().into()] }).await
}

/// What a person sees, each row as text.
async fn seen(it: &Fixture, sql: &str) -> Vec<String> {
    let rows = it.sql().await.query(&format!("select x::text from ({sql}) x"), &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_flat_table_is_read_by_its_name_also_after_a_column_is_added() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let narrow = flat("mileage", 1, NARROW);
    migrate(&it, &narrow).await.unwrap();
    let sql = it.sql().await;
    sql.batch_execute("create view public.theirs as select driver from ermine.mileage").await.unwrap();
    worker.commit(vec![put(&narrow, "a", "{\"driver\":\"ada\",\"seq\":7}")]).await.unwrap();
    assert_eq!(seen(&it, "select * from ermine.mileage").await, ["(\"\",a,ada,7)"]);

    // Declared in between, and added at the end, where those who read the view do not notice.
    let wide = flat("mileage", 1, &[NARROW[0], ("at", ColumnKind::Timestamp, true), NARROW[1]]);
    let lacking = it.store.check(&Registration { tables: vec![wide.clone().into()] }).await.unwrap_err();
    assert!(lacking.to_string().contains("has no column \"at\""), "{lacking}");
    migrate(&it, &wide).await.unwrap();
    migrate(&it, &wide).await.unwrap();
    let row = "{\"driver\":\"bob\",\"seq\":8,\"at\":\"2026-01-31T12:00:00.000000Z\"}";
    worker.commit(vec![put(&wide, "b", row)]).await.unwrap();
    let all = "select id, driver, seq, at at time zone 'UTC' as at from ermine.mileage order by id";
    assert_eq!(seen(&it, all).await, ["(a,ada,7,)", "(b,bob,8,\"2026-01-31 12:00:00\")"]);
    assert_eq!(seen(&it, "select * from public.theirs order by 1").await, ["(ada)", "(bob)"]);
    let views = it.store.load_views(&wide, &[key("b"), key("a")]).await.unwrap();
    let bodies: Vec<serde_json::Value> =
        views.into_iter().flatten().map(|view| view.body.decode().unwrap()).collect();
    assert_eq!(bodies[0], serde_json::from_str::<serde_json::Value>(row).unwrap());
    assert_eq!(bodies[1], serde_json::json!({"driver": "ada", "seq": 7, "at": null}));

    let second = flat("mileage", 2, NARROW);
    migrate(&it, &second).await.unwrap();
    worker.commit(vec![put(&second, "a", "{\"driver\":\"eve\"}")]).await.unwrap();
    assert_eq!(seen(&it, "select * from ermine.mileage_v2").await, ["(\"\",a,eve,)"]);
}

#[tokio::test]
async fn a_row_is_pinned_like_a_document() {
    let it = Fixture::new().await;
    let table = flat("mileage", 1, NARROW);
    migrate(&it, &table).await.unwrap();
    let append = async |version: Option<u64>, json: &str| {
        let pin =
            ViewPin { table: table.clone(), key: key("a"), version: version.map(Version::new), body: None };
        let batch = crate::common::batch("s", 1).with_operations(vec![pin], vec![put(&table, "a", json)]);
        it.store.append(batch).await
    };
    append(None, "{\"driver\":\"ada\"}").await.unwrap();
    append(Some(1), "{\"driver\":\"bob\"}").await.unwrap();
    for stale in [None, Some(2)] {
        let conflict = append(stale, "{\"driver\":\"eve\"}").await.unwrap_err();
        let ErrorKind::ViewConflict(conflict) = conflict.kind() else { panic!("{}", conflict.chain()) };
        assert_eq!((conflict.actual, conflict.expected), (Some(Version::FIRST), stale.map(Version::new)));
    }
    let refused = append(Some(1), "{\"driver\":null}").await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Serialization { seq: None }, "{}", refused.chain());
    assert_eq!(seen(&it, "select driver from ermine.mileage").await, ["(bob)"]);
}

#[tokio::test]
async fn a_change_that_rows_could_not_follow_is_refused() {
    let it = Fixture::new().await;
    migrate(&it, &flat("mileage", 1, NARROW)).await.unwrap();
    for (cells, told) in [
        (&[NARROW[0]][..], "column \"seq\" is not registered any more"),
        (
            &[NARROW[0], ("seq", ColumnKind::Real, true)],
            "column \"seq\" is `bigint`, and is registered as a real number",
        ),
        (&[NARROW[0], ("seq", ColumnKind::Integer, false)], "column \"seq\" can be null"),
        (&[NARROW[0], NARROW[1], ("km", ColumnKind::Real, false)], "column \"km\" is new and cannot be null"),
    ] {
        let refused = migrate(&it, &flat("mileage", 1, cells)).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Refused);
        assert!(refused.to_string().contains(told), "{refused}");
        assert!(refused.to_string().ends_with("give the projection a new version"), "{refused}");
    }
    let documents = ViewTable::new(ProjectionName::new("Mileage").unwrap(), 1);
    assert_eq!(*migrate(&it, &documents).await.unwrap_err().kind(), ErrorKind::Refused);
    it.store.check(&Registration { tables: vec![flat("mileage", 1, NARROW).into()] }).await.unwrap();
}

#[tokio::test]
async fn a_name_that_is_taken_or_used_twice_is_refused() {
    let it = Fixture::new().await;
    let taken = migrate(&it, &flat("events", 1, NARROW)).await.unwrap_err();
    assert_eq!(*taken.kind(), ErrorKind::Refused);
    assert!(
        taken.to_string().contains("\"events\" is the name of something else in schema \"ermine\""),
        "{taken}"
    );
    let other = ViewTable::new(ProjectionName::new("Other").unwrap(), 1);
    let both =
        vec![flat("x", 1, NARROW).into(), other.with_layout(flat("x", 1, NARROW).layout().clone()).into()];
    let twice = it.store.migrate(&Registration { tables: both }).await.unwrap_err();
    assert_eq!(*twice.kind(), ErrorKind::Configuration);
    for reserved in ["tenant", "id"] {
        let ours = migrate(&it, &flat("x", 1, &[(reserved, ColumnKind::Text, true)])).await.unwrap_err();
        assert_eq!(*ours.kind(), ErrorKind::Configuration, "{ours}");
    }
}

#[tokio::test]
async fn columns_may_have_any_name_and_be_many() {
    let it = Fixture::new().await;
    let names: Vec<String> = (0..150).map(|n| format!("c{n}")).collect();
    let words =
        ["version", "data", "order", "select", "v", "u", "w", "x", "r", "place", "row_to_json", "type"];
    let names: Vec<&str> = names.iter().map(String::as_str).chain(words).collect();
    let cells: Vec<_> = names.iter().map(|name| (*name, ColumnKind::Integer, true)).collect();
    let table = flat("many", 1, &cells);
    let indexes = vec![FieldIndex { field: field("order").unwrap(), kind: FieldKind::Number }];
    let registration = Registration { tables: vec![TableSpec { table: table.clone(), indexes }] };
    it.store.migrate(&registration).await.unwrap();
    it.store.check(&registration).await.unwrap();
    let worker = Worker::take(&it.store).await;
    let body = serde_json::Value::Object(
        names.iter().zip(0..).map(|(name, n)| ((*name).to_owned(), n.into())).collect(),
    );
    worker.commit(vec![put(&table, "a", &body.to_string())]).await.unwrap();
    for name in words {
        let limit = std::num::NonZeroUsize::MIN;
        let mut query = ermine_core::ViewQuery::new(table.clone(), limit);
        query.filter = Some(field(name).unwrap().ge(150));
        query.order = vec![field(name).unwrap().descending()];
        let found = it.store.query(query).await.unwrap();
        assert_eq!(found[0].1.body.decode::<serde_json::Value>().unwrap(), body, "{name}");
    }
}

#[tokio::test]
async fn reals_keep_all_their_digits_whatever_the_database_is_set_to() {
    let it = Fixture::new().await;
    let short = format!("alter database \"{}\" set extra_float_digits = 0", it.database.name());
    it.sql().await.batch_execute(&short).await.unwrap();
    let store = ermine_postgres::Store::connect(it.database.url()).await.unwrap();
    let table = flat("mileage", 1, &[("km", ColumnKind::Real, false)]);
    store.migrate(&Registration { tables: vec![table.clone().into()] }).await.unwrap();
    let worker = Worker::take(&store).await;
    worker.commit(vec![put(&table, "a", "{\"km\":0.30000000000000004}")]).await.unwrap();
    let view = store.load_views(&table, &[key("a")]).await.unwrap().remove(0).unwrap();
    assert_eq!(view.body.as_bytes(), b"{\"km\":0.30000000000000004}");
}
