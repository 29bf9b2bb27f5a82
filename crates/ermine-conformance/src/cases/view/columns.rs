//! Views that are rows.

use ermine_core::{
    Operation, Seq, StoredView, TenantId, Version, ViewKey, ViewQuery, ViewTable, field, ports::Store,
};
use serde_json::{Value as Json, json};

use super::operations::delete_where;
use crate::{
    Outcome,
    bench::{Bench, Worker, body, json, key, progress, same, shard, tenant},
    documents::{Document, ensure_same_documents, everything, put_document, query, select},
    outcome::{ensure, ensure_eq},
    random::Random,
    sheet::{EVERY_KIND, full_row, sheet},
};

pub(crate) async fn views_in_columns_come_back_and_can_be_queried(bench: &Bench<'_>) -> Outcome {
    let table = sheet(&EVERY_KIND);
    let store = bench.ready_with([table.clone().into()]).await?;
    let mut worker = Worker::take(&*store, shard("Sheet", 1)).await?;
    let rows: Vec<(Document, Json)> =
        rows().into_iter().map(|(id, given, kept)| ((key(id).id, given), kept)).collect();
    let default = TenantId::default();
    let mut stores: Vec<Operation> =
        rows.iter().map(|(row, _)| put_document(&table, &default, row)).collect();
    let theirs: Document = (key("full").id, full_row(json!({"n": 99})));
    stores.push(put_document(&table, &tenant("acme"), &theirs));
    worker.commit(&*store, 1, stores).await?;

    let mut kept: Vec<Document> = rows.iter().map(|((id, _), kept)| (id.clone(), kept.clone())).collect();
    kept.sort_by(|(a, _), (b, _)| a.cmp(b));
    let keys: Vec<ViewKey> = kept.iter().map(|(id, _)| ViewKey::new(id.clone())).collect();
    for ((id, wanted), view) in kept.iter().zip(store.load_views(&table, &keys).await?) {
        let found = view.ok_or_else(|| crate::Stop::Broken(format!("row {id} is not there")))?;
        let told = json(&found.body)?;
        ensure!(same(&told, wanted), "row {id} came back as {told}, wanted {wanted}");
        ensure_eq!(
            (found.version, found.seq),
            (Version::new(7), Seq::new(11)),
            "version and number of row {id}"
        );
    }
    ensure_same_documents(&query(&*store, everything(&table)).await?, &kept, || "all rows".into())?;
    ask(&*store, &table, &kept).await?;
    change(&*store, &mut worker, &table, kept).await?;
    refuse(&*store, &worker, &table).await?;
    let found = query(&*store, ViewQuery { tenant: tenant("acme"), ..everything(&table) }).await?;
    ensure_same_documents(&found, &[theirs], || "rows of another tenant".into())
}

/// Ids, rows as they are stored and rows as they come back.
fn rows() -> Vec<(&'static str, Json, Json)> {
    let as_given = |id, row: Json| (id, row.clone(), row);
    let nothing = json!({"t": null, "n": null, "r": null, "b": null, "at": null, "j": null,
        "must_t": "", "must_n": 0, "must_r": 0.0, "must_b": false,
        "must_at": "1970-01-01T00:00:00.000000Z", "must_j": 0});
    let mut missing = nothing.clone();
    missing.as_object_mut().into_iter().for_each(|row| row.retain(|name, _| name.starts_with("must")));
    vec![
        as_given("full", full_row(json!({}))),
        as_given("nothing", nothing.clone()),
        ("missing", missing, nothing),
        as_given(
            "least",
            full_row(json!({"n": i64::MIN, "r": -1e300, "b": false, "t": "",
            "at": "0001-01-01T00:00:00.000000Z"})),
        ),
        as_given(
            "most",
            full_row(json!({"n": i64::MAX, "r": 1e300, "t": "\u{1f9a6} 'quoted' \"twice\" \\ \n {table}",
            "at": "9999-12-30T21:59:59.999999Z"})),
        ),
        as_given(
            "minus",
            full_row(json!({"n": -42, "r": -0.25, "at": "1969-12-31T23:59:59.999999Z", "j": -7})),
        ),
        as_given(
            "deep",
            full_row(
                json!({"j": {"kind": "a", "list": [1, null, {"x": "y"}], "n": 9_007_199_254_740_993_i64}}),
            ),
        ),
        as_given("array", full_row(json!({"j": [], "t": "null", "n": 9_007_199_254_740_993_i64}))),
        as_given("text", full_row(json!({"j": "text", "t": "\u{e4}", "b": true}))),
        as_given("false", full_row(json!({"j": false, "r": 3.0, "n": 0}))),
        // What has more than one spelling comes back in the one.
        (
            "spelled",
            full_row(
                json!({"at": "2026-01-31T13:30:00+01:30", "must_at": "2026-01-31T12:00:00.25Z", "r": 3}),
            ),
            full_row(
                json!({"at": "2026-01-31T12:00:00.000000Z", "must_at": "2026-01-31T12:00:00.250000Z", "r": 3.0}),
            ),
        ),
    ]
}

/// Questions about every column, and about what lies in the JSON of one.
async fn ask(store: &dyn Store, table: &ViewTable, kept: &[Document]) -> Outcome {
    let mut random = Random::new(4);
    let mut paths: Vec<String> = EVERY_KIND.iter().map(|(name, ..)| (*name).to_owned()).collect();
    paths.extend(["j.kind", "j.n", "j.list", "t.deeper", "absent"].map(str::to_owned));
    for path in &paths {
        for descending in [false, true] {
            let mut asked = everything(table);
            asked.order = vec![ermine_core::Order { field: field(path)?, descending }];
            let found = query(store, asked.clone()).await?;
            ensure_same_documents(&found, &select(&asked, kept)?, || format!("rows by {:?}", asked.order))?;
        }
    }
    for nth in 0..300 {
        let mut asked = everything(table);
        asked.filter = Some(random.filter_about(&paths, kept));
        let found = query(store, asked.clone()).await?;
        ensure_same_documents(&found, &select(&asked, kept)?, || format!("query {nth} of rows, {asked:?}"))?;
        let count = store.count(asked.clone()).await?;
        ensure_eq!(count, found.len() as u64, "the count of query {nth} of rows, {asked:?}");
    }
    Ok(())
}

/// Rows are replaced, and deleted one by one and by a filter.
async fn change(
    store: &dyn Store,
    worker: &mut Worker,
    table: &ViewTable,
    mut kept: Vec<Document>,
) -> Outcome {
    let default = TenantId::default();
    let early = field("at")?.lt("1970-01-01T00:00:00.000000Z").or(field("j.kind")?.eq("a"));
    let replaced = full_row(json!({"t": null, "at": null, "j": null, "n": 5}));
    let full: Document = (key("full").id, replaced);
    let operations = vec![
        put_document(table, &default, &full),
        delete_where(table, &default, early.clone()),
        Operation::Delete { table: table.clone(), key: key("nothing") },
        put_document(table, &default, &(key("new").id, full_row(json!({"t": "new"})))),
    ];
    worker.commit(store, 2, operations).await?;
    kept.retain(|(id, row)| !["full", "nothing"].contains(&id.as_str()) && !early.matches(row));
    kept.extend([full, (key("new").id, full_row(json!({"t": "new"})))]);
    kept.sort_by(|(a, _), (b, _)| a.cmp(b));
    let found = query(store, everything(table)).await?;
    ensure_same_documents(&found, &kept, || "rows after changes".into())
}

/// What the columns cannot hold.
async fn refuse(store: &dyn Store, worker: &Worker, table: &ViewTable) -> Outcome {
    let before = query(store, everything(table)).await?;
    for (what, row) in [
        ("null where there must be a value", full_row(json!({"must_n": null}))),
        ("text where there must be a number", full_row(json!({"n": "abc"}))),
        ("text that is no moment", full_row(json!({"at": "yesterday"}))),
    ] {
        let view = StoredView { body: body(row), version: Version::FIRST, seq: Seq::new(1) };
        let bad = Operation::Store { table: table.clone(), key: key("bad"), view };
        let good = put_document(table, &TenantId::default(), &(key("good").id, full_row(json!({}))));
        let answer = store.commit(worker.next(3, vec![good, bad])).await;
        ensure!(
            matches!(&answer, Err(error) if !error.is_transient()),
            "a row with {what}: wanted an error that is no passing fault, the answer was {answer:?}"
        );
        ensure_eq!(
            progress(store, &worker.batch.shard).await?.seq,
            Seq::new(2),
            "progress after a row with {what}"
        );
        let after = query(store, everything(table)).await?;
        ensure_same_documents(&after, &before, || format!("rows after one with {what}"))?;
    }
    Ok(())
}
