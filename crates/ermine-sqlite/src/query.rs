//! Questions about views. The SQL leaves out views that cannot be meant, with the help of an index where there is one; whether
//! a view is meant is decided by [`Filter::matches`] alone, so that the answer is the same in every store.

mod narrow;

use ermine_core::{Body, Error, Filter, StoredView, TenantId, ViewId, ViewQuery};
pub(crate) use narrow::{Narrow, expression};
use rusqlite::{Connection, Row, params_from_iter, types::Value as SqlValue};

use crate::{
    error::{Fault, Outcome},
    view_sql::ViewSql,
};

/// An open `limit`.
const NO_LIMIT: i64 = -1;
/// So many views that may be among the first are kept at least before those that are not are thrown away.
const KEPT_MIN: usize = 1_000;

pub(crate) fn select(
    connection: &Connection,
    sql: &ViewSql,
    query: &ViewQuery,
) -> Outcome<Vec<(ViewId, StoredView)>> {
    if !query.order.is_empty() {
        return ordered(connection, sql, query);
    }
    let after = query.after.as_ref();
    let mut found = Vec::new();
    let Some(filter) = &query.filter else {
        let page = Page { after, limit: as_i64(query.limit.get()), offset: as_i64(query.offset) };
        scan(connection, sql, &query.tenant, &page, None, |id, view| {
            found.push((id, view));
            Ok(true)
        })?;
        return Ok(found);
    };
    let mut left_out = 0;
    scan(connection, sql, &query.tenant, &Page::all(after), Some(filter), |id, view| {
        if left_out < query.offset {
            left_out += 1;
        } else {
            found.push((id, view));
        }
        Ok(found.len() < query.limit.get())
    })?;
    Ok(found)
}

/// Keeps the first views of those seen so far, and not many more.
fn ordered(connection: &Connection, sql: &ViewSql, query: &ViewQuery) -> Outcome<Vec<(ViewId, StoredView)>> {
    let first = query.offset.saturating_add(query.limit.get());
    let kept_max = first.saturating_mul(4).max(KEPT_MIN);
    let first = ViewQuery { filter: None, after: None, offset: 0, limit: non_zero(first), ..query.clone() };
    let mut kept = Vec::new();
    scan(
        connection,
        sql,
        &query.tenant,
        &Page::all(query.after.as_ref()),
        query.filter.as_ref(),
        |id, view| {
            kept.push((id, view));
            if kept.len() >= kept_max {
                kept = pick(&first, std::mem::take(&mut kept))?;
            }
            Ok(true)
        },
    )?;
    pick(&ViewQuery { filter: None, after: None, ..query.clone() }, kept)
}

fn non_zero(count: usize) -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::new(count).unwrap_or(std::num::NonZeroUsize::MIN)
}

fn pick(query: &ViewQuery, views: Vec<(ViewId, StoredView)>) -> Outcome<Vec<(ViewId, StoredView)>> {
    let picked = query.select(views, |view| &view.body);
    Ok(picked.map_err(|err| Error::serialization("the body of a view is not JSON").with_source(err))?)
}

pub(crate) fn count(connection: &Connection, sql: &ViewSql, query: &ViewQuery) -> Outcome<u64> {
    let mut count: u64 = 0;
    match &query.filter {
        None => {
            let counted: i64 = connection
                .prepare_cached(&sql.count)?
                .query_row([query.tenant.as_str()], |row| row.get(0))?;
            count = counted.unsigned_abs();
        }
        Some(filter) => scan_rows(connection, sql, &query.tenant, &Page::all(None), Some(filter), |_| {
            count += 1;
            Ok(true)
        })?,
    }
    Ok(count)
}

/// The ids of the views of a tenant that match.
pub(crate) fn matching(
    connection: &Connection,
    sql: &ViewSql,
    tenant: &TenantId,
    filter: &Filter,
) -> Outcome<Vec<ViewId>> {
    let mut ids = Vec::new();
    scan_rows(connection, sql, tenant, &Page::all(None), Some(filter), |row| {
        ids.push(id(sql, row)?);
        Ok(true)
    })?;
    Ok(ids)
}

/// Which views of a tenant are looked at.
struct Page<'q> {
    after: Option<&'q ViewId>,
    limit: i64,
    offset: i64,
}

impl<'q> Page<'q> {
    const fn all(after: Option<&'q ViewId>) -> Self {
        Self { after, limit: NO_LIMIT, offset: 0 }
    }
}

fn scan(
    connection: &Connection,
    sql: &ViewSql,
    tenant: &TenantId,
    page: &Page<'_>,
    filter: Option<&Filter>,
    mut found: impl FnMut(ViewId, StoredView) -> Outcome<bool>,
) -> Outcome<()> {
    scan_rows(connection, sql, tenant, page, filter, |row| found(id(sql, row)?, sql.view(row)?))
}

/// Gives every row that is meant to `found`, until it has had enough.
fn scan_rows(
    connection: &Connection,
    sql: &ViewSql,
    tenant: &TenantId,
    page: &Page<'_>,
    filter: Option<&Filter>,
    mut found: impl FnMut(&Row<'_>) -> Outcome<bool>,
) -> Outcome<()> {
    const BOUND: usize = 4;
    let narrow = filter.and_then(|filter| Narrow::down(filter, sql.columns.as_ref(), BOUND + 1));
    let mut statement = connection.prepare_cached(&sql.scan(narrow.as_ref()))?;
    // No id is empty, so every id comes after the empty text.
    let after = page.after.map_or("", ViewId::as_str);
    let bound: [SqlValue; BOUND] =
        [tenant.as_str().to_owned().into(), after.to_owned().into(), page.limit.into(), page.offset.into()];
    let values = narrow.map(|narrow| narrow.values).unwrap_or_default();
    let mut rows = statement.query(params_from_iter(bound.into_iter().chain(values)))?;
    while let Some(row) = rows.next()? {
        let meant = match filter {
            None => true,
            Some(filter) => filter.matches(&document(sql, row)?),
        };
        if meant && !found(row)? {
            break;
        }
    }
    Ok(())
}

fn document(sql: &ViewSql, row: &Row<'_>) -> Outcome<serde_json::Value> {
    let body: Body = sql.body(row)?;
    body.decode().map_err(|err| {
        let told = match id(sql, row) {
            Ok(id) => format!("the body of view \"{id}\" is not JSON"),
            Err(_) => "the body of a view is not JSON".to_owned(),
        };
        Error::serialization(told).with_source(err).into()
    })
}

fn id(sql: &ViewSql, row: &Row<'_>) -> Outcome<ViewId> {
    let id = row.get_ref(sql.width)?.as_str().map_err(|err| Fault::Garbled(err.to_string()))?;
    Ok(ViewId::from_store(id))
}

pub(crate) fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
