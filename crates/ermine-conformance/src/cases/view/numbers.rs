//! Numbers of every size, in documents and in columns.

use ermine_core::{
    ColumnKind, Comparison, FieldIndex, FieldKind, Filter, Operation, TenantId, Value, ViewKey, ViewQuery,
    ViewTable, field,
    ports::{Store, TableSpec},
};
use serde_json::{Value as Json, json};

use crate::{
    Outcome, Stop,
    bench::{Bench, Worker, json, key, shard, table},
    documents::{Document, everything, put_document},
    outcome::{ensure, ensure_eq},
    random::Random,
    sheet::sheet,
};

/// How many numbers have a view of their own, besides those that are known to be hard.
const NUMBERS: usize = 60;
/// How many lie together in one view.
const CROWD: usize = 2_000;

pub(crate) async fn numbers_come_back_to_the_last_bit_and_are_found_by_value(bench: &Bench<'_>) -> Outcome {
    let [plain, indexed] = [table("Balance", 1), table("Indexed", 1)];
    let columns = sheet(&[
        ("x", ColumnKind::Real, true),
        ("n", ColumnKind::Integer, true),
        ("j", ColumnKind::Json, true),
    ]);
    let indexes = || -> Result<_, Stop> {
        Ok([("x", FieldKind::Number), ("n", FieldKind::Number)]
            .map(|(path, kind)| field(path).map(|field| FieldIndex { field, kind }))
            .into_iter()
            .collect::<ermine_core::Result<Vec<_>>>()?)
    };
    let store = bench
        .ready_with([
            TableSpec { table: indexed.clone(), indexes: indexes()? },
            TableSpec { table: columns.clone(), indexes: indexes()? },
        ])
        .await?;
    let mut random = Random::new(324);
    let documents = documents(&mut random);
    let mut worker = Worker::take(&*store, shard("Balance", 1)).await?;
    for (to, table) in (1..).zip([&plain, &indexed, &columns]) {
        let stores: Vec<Operation> =
            documents.iter().map(|document| put_document(table, &TenantId::default(), document)).collect();
        worker.commit(&*store, to, stores).await?;
        come_back(&*store, table, &documents).await?;
        are_found(&*store, table, &documents, &mut random).await?;
    }
    Ok(())
}

/// A view for each number, one for each of some integers, and one with a crowd of numbers.
fn documents(random: &mut Random) -> Vec<Document> {
    let mut reals = Random::HARD_REALS.to_vec();
    reals.extend((0..NUMBERS).map(|_| random.real()));
    let mut bodies: Vec<Json> = reals.iter().map(|real| json!({"x": real, "n": null, "j": [real]})).collect();
    let integers = [i64::MIN, -9_007_199_254_740_993, 9_007_199_254_740_992, 9_007_199_254_740_993, i64::MAX];
    bodies.extend(integers.map(|whole| json!({"x": null, "n": whole, "j": {"n": whole}})));
    let crowd: Vec<f64> = (0..CROWD).map(|_| random.real()).collect();
    bodies.push(json!({"x": null, "n": null, "j": crowd}));
    (0..).zip(bodies).map(|(nth, body)| (key(&format!("{nth:04}")).id, body)).collect()
}

async fn come_back(store: &dyn Store, table: &ViewTable, documents: &[Document]) -> Outcome {
    let keys: Vec<ViewKey> = documents.iter().map(|(id, _)| ViewKey::new(id.clone())).collect();
    for ((id, wanted), view) in documents.iter().zip(store.load_views(table, &keys).await?) {
        let found = view.ok_or_else(|| Stop::Broken(format!("view {id} of {table} is not there")))?;
        let found = json(&found.body)?;
        ensure!(is_exactly(&found, wanted), "view {id} of {table} came back as {found}, wanted {wanted}");
    }
    Ok(())
}

/// Whether all numbers are the same to the last bit; a zero may have lost its sign.
fn is_exactly(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one == other,
            _ => one.as_f64() == other.as_f64(),
        },
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_exactly(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| is_exactly(one, other)))
        }
        (one, other) => one == other,
    }
}

/// Every number by itself, and what is beside it.
async fn are_found(
    store: &dyn Store,
    table: &ViewTable,
    documents: &[Document],
    random: &mut Random,
) -> Outcome {
    for (_, document) in documents {
        for path in ["x", "n"] {
            let value: Value = match &document[path] {
                Json::Number(number) if number.is_i64() => number.as_i64().into(),
                Json::Number(number) => number.as_f64().into(),
                _ => continue,
            };
            let beside = *random.pick(&[
                Comparison::Less,
                Comparison::LessOrEqual,
                Comparison::Greater,
                Comparison::GreaterOrEqual,
            ]);
            for comparison in [Comparison::Equal, beside] {
                let filter = Filter::Compare { field: field(path)?, comparison, value: value.clone() };
                let wanted: Vec<_> = documents.iter().filter(|(_, it)| filter.matches(it)).collect();
                let asked = ViewQuery { filter: Some(filter), ..everything(table) };
                let found: Vec<_> = store.query(asked.clone()).await?.into_iter().map(|(id, _)| id).collect();
                ensure!(
                    found.iter().eq(wanted.iter().map(|(id, _)| id)),
                    "{asked:?}: found {found:?}, wanted {wanted:?}"
                );
                ensure_eq!(store.count(asked.clone()).await?, found.len() as u64, "the count of {asked:?}");
            }
        }
    }
    Ok(())
}
