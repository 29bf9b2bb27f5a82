//! Documents as views: stored, read back, and compared with what they should be.

use ermine_core::{
    Operation, Seq, StoredView, TenantId, Version, ViewId, ViewKey, ViewQuery, ViewTable, ports::Store,
};
use serde_json::Value as Json;

use crate::{
    Outcome, Stop,
    bench::{at_most, body, json, same},
};

/// A view's id and its document.
pub(crate) type Document = (ViewId, Json);

pub(crate) fn stored(document: &Json) -> StoredView {
    StoredView { body: body(document.clone()), version: Version::new(7), seq: Seq::new(11) }
}

pub(crate) fn put_document(table: &ViewTable, tenant: &TenantId, (id, document): &Document) -> Operation {
    let key = ViewKey { tenant: tenant.clone(), id: id.clone() };
    Operation::Store { table: table.clone(), key, view: stored(document) }
}

/// All views of a table that a tenant has, those of the default tenant unless another is said.
pub(crate) fn everything(table: &ViewTable) -> ViewQuery {
    ViewQuery::new(table.clone(), at_most(10_000))
}

/// The documents that `query` gives.
pub(crate) async fn query(store: &dyn Store, query: ViewQuery) -> Result<Vec<Document>, Stop> {
    let views = store.query(query).await?;
    views.into_iter().map(|(id, view)| Ok((id, json(&view.body)?))).collect()
}

/// What `query` must give, of all there is.
pub(crate) fn select(query: &ViewQuery, documents: &[Document]) -> Result<Vec<Document>, Stop> {
    let bodies = documents.iter().map(|(id, document)| (id.clone(), body(document.clone())));
    let selected = query.select(bodies, |body| body).map_err(|e| Stop::Broken(e.to_string()))?;
    selected.into_iter().map(|(id, body)| Ok((id, json(&body)?))).collect()
}

/// Ends the case unless both are the same documents in the same order.
pub(crate) fn ensure_same_documents(
    found: &[Document],
    wanted: &[Document],
    what: impl FnOnce() -> String,
) -> Outcome {
    let ids = |documents: &[Document]| documents.iter().map(|(id, _)| id.clone()).collect::<Vec<ViewId>>();
    let (found_ids, wanted_ids) = (ids(found), ids(wanted));
    if found_ids != wanted_ids {
        let odd: Vec<&Document> = found
            .iter()
            .filter(|(id, _)| !wanted_ids.contains(id))
            .chain(wanted.iter().filter(|(id, _)| !found_ids.contains(id)))
            .collect();
        return Err(Stop::Broken(format!(
            "{}: found {found_ids:?}, wanted {wanted_ids:?}; only one of both has {odd:?}",
            what()
        )));
    }
    match found.iter().zip(wanted).find(|((_, found), (_, wanted))| !same(found, wanted)) {
        Some(((id, found), (_, wanted))) => {
            Err(Stop::Broken(format!("{}: {id} came back as {found}, wanted {wanted}", what())))
        }
        None => Ok(()),
    }
}
