//! Statements in SQLite's own language.

use ermine_core::{
    Error, ErrorKind, Operation, ShardBatch, Timestamp, Value,
    ports::{ProgressStore, ViewStore},
};
use ermine_sqlite::{Store, sql};

use crate::common::{Place, key, next_batch, put, table};

async fn shown(store: &Store, id: &str) -> Option<String> {
    let view = store.load_views(&table(), &[key(id)]).await.unwrap().remove(0)?;
    Some(String::from_utf8(view.body.as_bytes().to_vec()).unwrap())
}

fn native(statement: &str, parameters: impl IntoIterator<Item = Value>) -> Operation {
    sql(&table(), statement, parameters)
}

#[tokio::test]
async fn a_statement_takes_effect_in_its_turn() {
    let place = Place::new();
    let store = place.store().await;
    let double =
        native("update {schema}.{table} set data = data * ?1 where id = ?2", [2.into(), "trip-1".into()]);
    let operations = vec![put("trip-1", "3"), double.clone(), double, put("trip-2", "7")];
    store.commit(next_batch(&store, operations).await).await.unwrap();
    assert_eq!(
        (shown(&store, "trip-1").await, shown(&store, "trip-2").await),
        (Some("12".into()), Some("7".into()))
    );
}

#[tokio::test]
async fn every_kind_of_value_can_be_a_parameter() {
    let place = Place::new();
    let store = place.store().await;
    let moment: Timestamp = "2026-01-31T13:00:00.25+01:00".parse().unwrap();
    let body = ermine_core::Body::from_json("{\"a\":1}").unwrap();
    let array = native(
        "update {table} set data = json_array(?1, ?2, ?3, ?4, ?5, ?6, json(?7))",
        [Value::Null, true.into(), 7.into(), 0.5.into(), "é".into(), moment.into(), body.into()],
    );
    store.commit(next_batch(&store, vec![put("trip-1", "0"), array]).await).await.unwrap();
    let wanted = "[null,1,7,0.5,\"é\",\"2026-01-31T12:00:00.250000Z\",{\"a\":1}]";
    assert_eq!(shown(&store, "trip-1").await.unwrap(), wanted);
}

/// Expects that the batch is refused and nothing of it stays.
async fn refused(statement: &str, parameters: Vec<Value>) -> Error {
    let place = Place::new();
    let store = place.store().await;
    let batch = next_batch(&store, vec![put("trip-1", "1"), native(statement, parameters)]).await;
    let ShardBatch { from, .. } = batch;
    let error = store.commit(batch).await.unwrap_err();
    assert_eq!(shown(&store, "trip-1").await, None, "{statement}");
    assert_eq!(store.read_progress().await.unwrap()[0].seq, from, "{statement}");
    store.commit(next_batch(&store, vec![put("trip-1", "2")]).await).await.unwrap();
    error
}

#[tokio::test]
async fn a_statement_cannot_end_the_transaction_or_only_read() {
    for statement in ["commit", "rollback", "release change", "select 1", "begin"] {
        let error = refused(statement, vec![]).await;
        assert_eq!(*error.kind(), ErrorKind::Configuration, "{}", error.chain());
        let words = format!(
            "the native statement \"{statement}\" changes nothing: use one that inserts, updates or deletes"
        );
        assert_eq!(error.to_string(), words);
    }
}

/// SQLite does what some pragmas say while it only looks at them.
#[tokio::test]
async fn a_statement_cannot_change_how_the_store_works() {
    for statement in [
        "pragma query_only = true",
        "explain pragma query_only = true",
        "-- nothing\n; /* and */ pragma main.query_only(1)",
        "delete from {table}; pragma query_only = true",
        "attach ':memory:' as query_only",
    ] {
        let error = refused(statement, vec![]).await;
        assert_eq!(*error.kind(), ErrorKind::Configuration, "{statement}: {}", error.chain());
    }
}

#[tokio::test]
async fn several_statements_in_one_are_refused() {
    for statement in
        ["delete from {table}; commit", "delete from {table}; delete from nowhere", "", "-- nothing"]
    {
        let error = refused(statement, vec![]).await;
        assert_eq!(*error.kind(), ErrorKind::Configuration, "{}", error.chain());
        assert!(error.to_string().ends_with("is not one statement: make an operation of each"), "{error}");
    }
}

#[tokio::test]
async fn an_error_of_a_statement_needs_a_person() {
    for (statement, parameters, words) in [
        ("delete from {table} where altitude = 1", vec![], "no such column: altitude"),
        ("delete from nowhere", vec![], "no such table: nowhere"),
        ("update {table} set data = ?1 || ?2", vec![1.into()], "Wrong number of parameters"),
    ] {
        let error = refused(statement, parameters).await;
        assert_eq!(*error.kind(), ErrorKind::Fatal, "{}", error.chain());
        assert!(error.chain().contains("a statement of the projection trip failed: "), "{}", error.chain());
        assert!(error.chain().contains(words), "{}", error.chain());
    }
}
