//! Filters and the indexes that serve them.

use std::num::NonZeroUsize;

use ermine_core::{
    FieldIndex, FieldKind, Filter, Operation, TenantId, ViewQuery, field,
    ports::{Registration, SchemaAdmin, TableSpec, ViewStore},
};
use ermine_postgres::Store;
use ermine_testkit::pg::{OwnedClient, TestDatabase};

use crate::{
    common::table,
    worker::{Worker, put},
};

struct Scene {
    store: Store,
    sql: OwnedClient,
    _database: TestDatabase,
}

fn registration() -> Registration {
    let index = |path: &str, kind| FieldIndex { field: field(path).unwrap(), kind };
    let indexes = vec![index("driver.name", FieldKind::Text), index("km", FieldKind::Number)];
    Registration { tables: vec![TableSpec { table: table(), indexes }] }
}

impl Scene {
    /// A table of many views. One data connection, so that the server still knows what it was asked last.
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::builder(database.url()).pool_size(1).connect().await.unwrap();
        store.migrate(&registration()).await.unwrap();
        store.check(&registration()).await.unwrap();
        let sql = database.connect().await;
        let name = table_name(&sql).await;
        let fill = format!(
            "insert into ermine.\"{name}\" (id, data, version, seq) \
             select 'trip-' || n, json_build_object('km', n, 'driver', json_build_object('name', 'driver ' || n)), 1, 1 \
             from generate_series(1, 5000) n"
        );
        sql.batch_execute(&fill).await.unwrap();
        sql.batch_execute("analyze").await.unwrap();
        Self { store, sql, _database: database }
    }

    async fn ids(&self, filter: Filter) -> Vec<String> {
        let limit = NonZeroUsize::new(10).unwrap();
        let query = ViewQuery { filter: Some(filter), ..ViewQuery::new(table(), limit) };
        let views = self.store.query(query).await.unwrap();
        views.into_iter().map(|(id, _)| id.to_string()).collect()
    }

    /// The plan of the statement that the store has sent last.
    async fn plan_of_last(&self, parameters: &str) -> String {
        let last = "select query from pg_stat_activity where datname = current_database() \
                    and query like '%view_trip%' and pid <> pg_backend_pid()";
        let text: String = self.sql.query_one(last, &[]).await.unwrap().get(0);
        let prepare =
            format!("deallocate all; set plan_cache_mode = force_custom_plan; prepare it as {text}");
        self.sql.batch_execute(&prepare).await.unwrap();
        let rows = self.sql.query(&format!("explain execute it ({parameters})"), &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
    }
}

async fn table_name(sql: &OwnedClient) -> String {
    sql.query_one("select table_name from ermine.projections", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_index_on_a_field_serves_filters_on_it() {
    let it = Scene::new().await;
    for (filter, parameters, wanted, condition) in [
        (
            field("driver.name").unwrap().eq("driver 42"),
            "'', '', 10, 0, 'driver 42'",
            vec!["trip-42"],
            "Index Cond: ((tenant = ''::text) AND ((\"left\"(",
        ),
        (
            field("km").unwrap().le(2),
            "'', '', 10, 0, '2'",
            vec!["trip-1", "trip-2"],
            "Index Cond: ((tenant = ''::text) AND (CASE WHEN (jsonb_typeof((data -> 'km'::text))",
        ),
        (
            field("km").unwrap().gt(4998).and(field("driver.name").unwrap().ne("driver 5000")),
            "'', '', 10, 0, '4998', 'driver 5000'",
            vec!["trip-4999"],
            "Index Cond: ((tenant = ''::text) AND (CASE WHEN (jsonb_typeof((data -> 'km'::text))",
        ),
    ] {
        assert_eq!(it.ids(filter.clone()).await, wanted);
        let plan = it.plan_of_last(parameters).await;
        assert!(plan.contains(condition), "{filter:?}: {plan}");
    }
}

#[tokio::test]
async fn a_field_of_any_size_can_be_indexed() {
    let it = Scene::new().await;
    let worker = Worker::take(&it.store).await;
    // What does not compress: an index entry has no room for it.
    let long: String = (0..4000_u32).map(|n| char::from_u32(0x4e00 + n * 7 % 19_997).unwrap()).collect();
    let other = format!("{long}.");
    for (id, name) in [("long", &long), ("other", &other)] {
        let json = format!("{{\"km\":\"{name}\",\"driver\":{{\"name\":\"{name}\"}}}}");
        worker.commit(vec![put(&table(), id, &json)]).await.unwrap();
    }
    let name = || field("driver.name").unwrap();
    assert_eq!(it.ids(name().eq(long.as_str())).await, ["long"]);
    assert_eq!(it.ids(name().gt(long.as_str())).await, ["other"]);
    assert_eq!(it.ids(name().ge(long.as_str())).await, ["long", "other"]);
    let plan = it.plan_of_last(&format!("'', '', 10, 0, '{long}'")).await;
    assert!(plan.contains("Index Cond"), "{plan}");
    let filter = name().ge(long.as_str());
    let tenant = TenantId::default();
    worker
        .commit(vec![Operation::DeleteWhere { table: table(), tenant, filter: filter.clone() }])
        .await
        .unwrap();
    assert!(it.ids(filter).await.is_empty());
}

#[tokio::test]
async fn a_text_with_a_nul_is_beside_every_stored_one() {
    let it = Scene::new().await;
    let name = || field("driver.name").unwrap();
    let near = |filter: Filter| it.ids(filter.and(name().ge("driver 42").and(name().le("driver 420"))));
    let nul = "driver 42\0";
    assert_eq!(near(name().lt(nul)).await, ["trip-42"]);
    assert_eq!(near(name().le(nul)).await, ["trip-42"]);
    assert_eq!(near(name().gt(nul)).await, ["trip-420"]);
    assert_eq!(near(name().ge(nul)).await, ["trip-420"]);
    assert!(near(name().eq(nul)).await.is_empty());
    assert_eq!(near(name().ne(nul)).await, ["trip-42", "trip-420"]);
}

#[tokio::test]
async fn an_index_that_is_missing_is_made_by_the_next_migration() {
    let it = Scene::new().await;
    let mut more = registration();
    more.tables[0].indexes.push(FieldIndex { field: field("state").unwrap(), kind: FieldKind::Text });
    let missing = it.store.check(&more).await.unwrap_err().to_string();
    assert!(missing.contains("there is no index on \"state\" of Trip version 1 generation 1"), "{missing}");
    it.store.migrate(&more).await.unwrap();
    it.store.check(&more).await.unwrap();
    it.store.migrate(&registration()).await.unwrap();
    let count = "select count(*) from pg_indexes where schemaname = 'ermine' and tablename like 'view_trip%'";
    let count: i64 = it.sql.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(count, 4, "what is not asked for any more stays");
}
