//! Questions about documents, against what `ViewQuery::select` answers.

use ermine_core::{
    FieldIndex, FieldKind, Operation, TenantId, ViewId, ViewQuery, ViewTable, field,
    ports::{Store, TableSpec},
};
use serde_json::json;

use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, at_most, key, shard, table, tenant},
    documents::{Document, ensure_same_documents, everything, put_document, query, select},
    outcome::ensure_eq,
    random::Random,
};

pub(crate) async fn a_query_gives_what_select_would(bench: &Bench<'_>) -> Outcome {
    const QUERIES: usize = 400;
    let (store, tables, documents) = fixture(bench).await?;
    let mut random = Random::new(1);
    let ids: Vec<ViewId> = documents.iter().map(|(id, _)| id.clone()).collect();
    for table in &tables {
        let found = query(&*store, everything(table)).await?;
        ensure_same_documents(&found, &select(&everything(table), &documents)?, || "all documents".into())?;
    }
    for nth in 0..QUERIES {
        let table = &tables[nth % tables.len()];
        let asked = random.query(&everything(table), &ids);
        let found = query(&*store, asked.clone()).await?;
        ensure_same_documents(&found, &select(&asked, &documents)?, || format!("query {nth}, {asked:?}"))?;
    }
    // Pages by offset of an order with many ties are parts of the whole.
    let ordered = ViewQuery { order: vec![field("b")?.descending()], ..everything(&tables[0]) };
    let mut paged = Vec::new();
    for offset in (0..documents.len()).step_by(7) {
        paged.extend(query(&*store, ViewQuery { offset, limit: at_most(7), ..ordered.clone() }).await?);
    }
    ensure_same_documents(&paged, &select(&ordered, &documents)?, || "pages of 7 by a boolean".into())?;
    let beyond = ViewQuery { offset: 100_000, ..ordered };
    ensure_same_documents(&query(&*store, beyond).await?, &[], || "an offset beyond the end".into())?;
    long_texts_fit_an_index(&*store, &tables[1]).await
}

pub(crate) async fn counting_gives_how_many_match(bench: &Bench<'_>) -> Outcome {
    const QUERIES: usize = 100;
    let (store, tables, documents) = fixture(bench).await?;
    let mut random = Random::new(2);
    let ids: Vec<ViewId> = documents.iter().map(|(id, _)| id.clone()).collect();
    for table in &tables {
        let asked = ViewQuery { limit: at_most(1), offset: 3, ..everything(table) };
        ensure_eq!(store.count(asked).await?, 60, "views of one tenant");
        let acme = ViewQuery { tenant: tenant("acme"), ..everything(table) };
        ensure_eq!(store.count(acme).await?, 1, "views of another tenant");
    }
    for nth in 0..QUERIES {
        let asked = random.query(&everything(&tables[nth % tables.len()]), &ids);
        let found = store.count(asked.clone()).await?;
        let all = ViewQuery { after: None, offset: 0, limit: at_most(10_000), ..asked.clone() };
        let wanted = select(&all, &documents)?.len() as u64;
        ensure_eq!(found, wanted, "the count of query {nth}, {asked:?}");
    }
    ensure_eq!(store.count(everything(&table("Ride", 1))).await?, 0, "views of an empty table");
    Ok(())
}

/// Sixty documents in a table without and in one with indexes, and one of another tenant.
async fn fixture(
    bench: &Bench<'_>,
) -> Result<(std::sync::Arc<dyn Store>, [ViewTable; 2], Vec<Document>), Stop> {
    let tables = [table("Balance", 1), table("Indexed", 1)];
    let index = |path, kind| Ok::<_, Stop>(FieldIndex { field: field(path)?, kind });
    let indexes = vec![
        index("n", FieldKind::Number)?,
        index("t", FieldKind::Text)?,
        index("b", FieldKind::Number)?,
        index("any", FieldKind::Text)?,
        index("driver.name", FieldKind::Text)?,
        index("driver.km", FieldKind::Number)?,
        index("Caps-and_dash", FieldKind::Number)?,
    ];
    let store = bench.ready_with([TableSpec { table: tables[1].clone(), indexes }]).await?;
    let mut random = Random::new(60);
    let documents: Vec<Document> = (0..60).map(|nth| (random.id(nth), random.document())).collect();
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    for (to, table) in (1..).zip(&tables) {
        let mut stores: Vec<Operation> =
            documents.iter().map(|document| put_document(table, &TenantId::default(), document)).collect();
        let theirs = (key("theirs").id, json!({"n": 1, "t": "a", "b": true}));
        stores.push(put_document(table, &tenant("acme"), &theirs));
        worker.commit(&*store, to, stores).await?;
    }
    Ok((store, tables, documents))
}

/// Text may be longer than what an index can hold: the view is kept, and found.
async fn long_texts_fit_an_index(store: &dyn Store, table: &ViewTable) -> Outcome {
    let mut random = Random::new(3);
    let stem = random.noise(10_000);
    let texts = [stem.clone(), format!("{stem}a"), format!("{stem}b"), "b".into()];
    let acme = tenant("long");
    let documents: Vec<Document> =
        texts.iter().enumerate().map(|(nth, text)| (key(&format!("{nth}")).id, json!({"t": text}))).collect();
    let stores = documents.iter().map(|document| put_document(table, &acme, document)).collect();
    Worker::take(store, shard("Ride", 1)).await?.commit(store, 1, stores).await?;
    let t = || field("t");
    let longer = format!("{stem}a");
    for (what, filter) in [
        ("equal to", t()?.eq(&longer)),
        ("less than", t()?.lt(&longer)),
        ("at most", t()?.le(&longer)),
        ("greater than", t()?.gt(&longer)),
        ("not", t()?.ne(&longer)),
    ] {
        let order = vec![t()?.descending()];
        let asked = ViewQuery { tenant: acme.clone(), filter: Some(filter), order, ..everything(table) };
        let found = query(store, asked.clone()).await?;
        ensure_same_documents(&found, &select(&asked, &documents)?, || format!("{what} a text of 10 kB"))?;
    }
    Ok(())
}
