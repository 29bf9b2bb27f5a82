//! Native statements in batches.

use ermine_core::{
    Body, ErrorKind, Native, Operation, SmolStr, Timestamp, Value,
    ports::{ProgressStore, ViewStore},
};

use crate::{
    common::{Fixture, key, table},
    worker::{Worker, put},
};

async fn document(it: &Fixture, id: &str) -> Option<serde_json::Value> {
    let view = it.store.load_views(&table(), &[key(id)]).await.unwrap().remove(0);
    view.map(|view| view.body.decode().unwrap())
}

fn native(statement: &str, parameters: impl IntoIterator<Item = Value>) -> Operation {
    ermine_postgres::sql(&table(), statement, parameters)
}

#[tokio::test]
async fn a_statement_sees_what_comes_before_it_and_not_what_comes_after() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let double = "update {table} set data = jsonb_set(data, '{km}', to_jsonb((data ->> 'km')::int * $1)) where tenant = ''";
    worker
        .commit(vec![
            put(&table(), "a", "{\"km\":1}"),
            put(&table(), "b", "{\"km\":1}"),
            native(double, [10.into()]),
            put(&table(), "b", "{\"km\":2}"),
            native(&double.replace("{table}", "{schema}.{table}"), [3.into()]),
            put(&table(), "c", "{\"km\":1}"),
        ])
        .await
        .unwrap();
    for (id, km) in [("a", 30), ("b", 6), ("c", 1)] {
        assert_eq!(document(&it, id).await.unwrap()["km"], km, "{id}");
    }
}

#[tokio::test]
async fn a_value_becomes_what_the_statement_asks_for() {
    let it = Fixture::new().await;
    let create = "create table public.kinds (a smallint, b numeric, c double precision, d uuid, e date, f timestamptz, \
                  g jsonb, h varchar(9), i boolean, j text)";
    it.sql().await.batch_execute(create).await.unwrap();
    let insert = "insert into public.kinds values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let moment: Timestamp = "2026-01-31T12:00:00.25Z".parse().unwrap();
    let values = || -> [Value; 10] {
        [
            7.into(),
            7.into(),
            0.1.into(),
            "5f1c27a9-63d4-4b0e-9b7e-0c52d3a8e1f4".into(),
            "2026-01-31".into(),
            moment.into(),
            Body::from_json("{\"a\":[1]}").unwrap().into(),
            "it's".into(),
            true.into(),
            Value::Null,
        ]
    };
    let worker = Worker::take(&it.store).await;
    worker.commit(vec![native(insert, values()), native(insert, values())]).await.unwrap();
    let rows = it.sql().await.query("select k::text from public.kinds k", &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    let text: String = rows[0].get(0);
    let wanted = "(7,7,0.1,5f1c27a9-63d4-4b0e-9b7e-0c52d3a8e1f4,2026-01-31,";
    assert!(text.starts_with(wanted) && text.ends_with(",\"{\"\"a\"\": [1]}\",it's,t,)"), "{text}");
}

#[tokio::test]
async fn an_error_names_the_statement_and_takes_the_batch_with_it() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    for (statement, parameters, kind, told) in [
        ("update {table} set nothing = 1", vec![], ErrorKind::Configuration, "column \"nothing\""),
        ("select 1 / $1::int", vec![0.into()], ErrorKind::Rejected, "division by zero"),
        ("delete from {table} where version = $1", vec!["x".into()], ErrorKind::Rejected, "\"x\""),
        ("do $$ begin raise exception 'not today'; end $$", vec![], ErrorKind::Rejected, "not today"),
        ("insert into nowhere values (1)", vec![], ErrorKind::Configuration, "\"nowhere\""),
    ] {
        let fine = native("select 1", []);
        let batch =
            vec![put(&table(), "a", "{}"), fine, native(statement, parameters), put(&table(), "b", "{}")];
        let error = worker.commit(batch).await.unwrap_err();
        assert_eq!(*error.kind(), kind, "{}", error.chain());
        assert!(!error.is_transient());
        assert!(error.to_string().ends_with(&format!(": {statement}")), "{error}");
        assert!(error.chain().contains(told), "{}", error.chain());
        assert_eq!(document(&it, "a").await, None);
    }
    assert_eq!(it.store.read_progress().await.unwrap().len(), 1, "and the connection goes on");
}

#[tokio::test]
async fn a_statement_may_use_what_an_earlier_one_has_made() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let create = native("do $$ begin create table {schema}.mine (n bigint); end $$", []);
    let insert = native("insert into {schema}.mine values ($1)", [5.into()]);
    worker.commit(vec![create, insert]).await.unwrap();
    let n: i64 = it.sql().await.query_one("select n from ermine.mine", &[]).await.unwrap().get(0);
    assert_eq!(n, 5);
}

#[tokio::test]
async fn a_statement_for_another_store_or_one_that_ends_the_transaction_is_refused() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    let foreign = Operation::Native(Native {
        adapter: SmolStr::new("sqlite"),
        statement: "select 1".into(),
        parameters: Vec::new(),
        table: table(),
    });
    for (operation, told) in [
        (foreign, "\"sqlite\" cannot run on \"postgres\""),
        (native("commit", []), "`commit`"),
        (native("-- why\n/* no */ commit", []), "`commit`"),
    ] {
        let error = worker.commit(vec![put(&table(), "a", "{}"), operation]).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(told), "{error}");
    }
    assert_eq!(document(&it, "a").await, None);
}

#[tokio::test]
async fn what_follows_a_statement_that_breaks_the_batch_is_not_left_out_silently() {
    let it = Fixture::new().await;
    let worker = Worker::take(&it.store).await;
    for breaks in ["select set_config('ermine.batch', '', true)", "do $$ begin commit; end $$"] {
        let batch = vec![put(&table(), "a", "1"), native(breaks, []), put(&table(), "b", "1")];
        worker.commit(batch).await.unwrap_err();
        assert_eq!(document(&it, "a").await, None, "{breaks}");
    }
    worker.commit(vec![put(&table(), "a", "1")]).await.unwrap();
}
