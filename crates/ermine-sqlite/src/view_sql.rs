//! Names of view tables, and their statements.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ermine_core::{
    Body, Error, ErrorKind, Layout, ProjectionName, Seq, StoredView, Uuid, Version, ViewTable,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{columns::Rows, error::Outcome, json, query::Narrow, statements as sql};

/// The statements of one view table.
#[derive(Debug)]
pub(crate) struct ViewSql {
    pub(crate) name: String,
    /// How rows are kept, where views are not documents.
    pub(crate) columns: Option<Rows>,
    pub(crate) create: String,
    pub(crate) store: String,
    pub(crate) delete: String,
    pub(crate) load: String,
    pub(crate) version: String,
    pub(crate) count: String,
    /// With places for an index and for what narrows it down.
    scan: String,
    /// The indexes of the table, by name.
    indexes: Vec<String>,
    /// How many columns a view takes, its version and number included.
    pub(crate) width: usize,
}

impl ViewSql {
    pub(crate) fn new(table: &ViewTable) -> Outcome<Self> {
        let columns = match table.layout() {
            Layout::Document => None,
            Layout::Columns(columns) => Some(Rows::new(columns)?),
        };
        Ok(Self::with(table, columns))
    }

    fn with(table: &ViewTable, columns: Option<Rows>) -> Self {
        let name = table_name(table);
        let (names, definitions) = match &columns {
            None => (vec!["data".to_owned()], vec!["data text not null".to_owned()]),
            Some(rows) => (rows.names(), rows.definitions()),
        };
        let values: Vec<String> = (5..5 + names.len()).map(|nth| format!("?{nth}")).collect();
        let changes: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let of = |template: &'static str| {
            let text = sql::without_header(template)
                .replace("{table}", &name)
                .replace("{definitions}", &definitions.join(",\n  "))
                .replace("{changes}", &changes.join(", "));
            text.replace("{columns}", &names.join(", ")).replace("{values}", &values.join(", "))
        };
        Self {
            create: of(sql::VIEW_CREATE),
            store: of(sql::VIEW_STORE),
            delete: of(sql::VIEW_DELETE),
            load: of(sql::VIEW_LOAD),
            version: of(sql::VIEW_VERSION),
            count: of(sql::VIEW_COUNT),
            scan: of(sql::VIEW_SCAN),
            indexes: Vec::new(),
            width: 2 + names.len(),
            columns,
            name,
        }
    }

    /// The views of a tenant in the order of their ids, narrowed down to what may be meant.
    pub(crate) fn scan(&self, narrow: Option<&Narrow>) -> String {
        let condition = narrow.map(|narrow| format!(" and {}", narrow.condition)).unwrap_or_default();
        let mut by = narrow.into_iter().flat_map(|narrow| &narrow.by).map(|it| self.index_name(it));
        let index = by.find(|index| self.indexes.contains(index));
        let index = index.map(|index| format!(" indexed by {index}")).unwrap_or_default();
        self.scan.replace("{narrow}", &condition).replace("{index}", &index)
    }

    /// What an index on an expression is called.
    pub(crate) fn index_name(&self, expression: &str) -> String {
        format!("{}_by_{}", self.name, hash(expression))
    }

    fn with_indexes(mut self, connection: &Connection) -> Outcome<Self> {
        let mut statement = connection.prepare_cached(sql::VIEW_INDEXES)?;
        let names = statement.query_map([&self.name], |row| row.get(0))?;
        self.indexes = names.collect::<rusqlite::Result<_>>()?;
        Ok(self)
    }

    /// A view out of a row that begins with its version.
    pub(crate) fn view(&self, row: &Row<'_>) -> Outcome<StoredView> {
        Ok(StoredView {
            body: self.body(row)?,
            version: Version::from_i64(row.get(0)?),
            seq: Seq::from_i64(row.get(1)?),
        })
    }

    pub(crate) fn body(&self, row: &Row<'_>) -> Outcome<Body> {
        match &self.columns {
            None => Ok(json::body(row, 2)?),
            Some(columns) => columns.body(row, 2),
        }
    }

    fn fits(&self, layout: &Layout) -> bool {
        match (layout, &self.columns) {
            // Whoever names the table alone gets it as it is.
            (Layout::Document, _) => true,
            (Layout::Columns(columns), Some(rows)) => rows.columns == **columns,
            (Layout::Columns(_), None) => false,
        }
    }
}

/// The statements of all view tables that have been asked for.
#[derive(Debug, Default)]
pub(crate) struct ViewSqls {
    known: Mutex<HashMap<ViewTable, Arc<ViewSql>>>,
}

impl ViewSqls {
    /// The statements of a table; how its views are kept is looked up where the caller does not say.
    pub(crate) fn of(&self, connection: &Connection, table: &ViewTable) -> Outcome<Arc<ViewSql>> {
        if let Some(found) = self.known().get(table)
            && found.fits(table.layout())
        {
            return Ok(Arc::clone(found));
        }
        let made = match table.layout() {
            Layout::Columns(_) => ViewSql::new(table)?,
            Layout::Document => {
                ViewSql::with(table, registered(connection, table)?.ok_or_else(|| missing(table))?)
            }
        };
        let made = Arc::new(made.with_indexes(connection)?);
        self.known().insert(table.clone(), Arc::clone(&made));
        Ok(made)
    }

    /// Does `work` with the statements of a table; once more when another process has changed the table or its indexes since
    /// they were made.
    pub(crate) fn with<T>(
        &self,
        connection: &Connection,
        table: &ViewTable,
        work: impl Fn(&ViewSql) -> Outcome<T>,
    ) -> Outcome<T> {
        let outcome = work(&*self.of(connection, table)?);
        match outcome {
            Err(fault) if fault.is_missing() => {
                self.forget();
                work(&*self.of(connection, table)?)
            }
            outcome => outcome,
        }
    }

    /// Forgets what it knows, because tables may have changed.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<ViewTable, Arc<ViewSql>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the views of a table are kept; `None` when there is no such table.
pub(crate) fn registered(connection: &Connection, table: &ViewTable) -> Outcome<Option<Option<Rows>>> {
    let key = params![table.projection().as_str(), table.version(), table.generation()];
    let mut statement = connection.prepare_cached(sql::VIEW_REGISTERED)?;
    let layout: Option<Option<String>> = statement.query_row(key, |row| row.get(0)).optional()?;
    layout.map(|layout| layout.as_deref().map(Rows::parse).transpose()).transpose()
}

fn missing(table: &ViewTable) -> Error {
    Error::new(ErrorKind::Refused, format!("there is no table for views of {table}: migrate the store again"))
}

const SLUG_CHARS_MAX: usize = 40;
const HASH_CHARS: usize = 16;

/// `view_<name>_v<version>_g<generation>`, with a hash of the projection's name after it where the name had to be changed; so
/// two projections never share a table. Letters, digits and `_` only: it needs no quotes.
fn table_name(table: &ViewTable) -> String {
    format!("view_{}_v{}_g{}", slug(table.projection()), table.version(), table.generation())
}

fn slug(projection: &ProjectionName) -> String {
    let name = projection.as_str();
    let slug: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    // A name that ends like a hash of ours is given one, so that nobody can choose the table of another.
    if slug == name && slug.len() <= SLUG_CHARS_MAX && !ends_like_a_hash(&slug) {
        return slug;
    }
    format!("{}_{}", &slug[..slug.len().min(SLUG_CHARS_MAX)], hash(name))
}

/// Tells names apart that look alike where only letters and digits are allowed.
fn hash(name: &str) -> String {
    let mut hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string();
    hash.truncate(HASH_CHARS);
    hash
}

fn ends_like_a_hash(slug: &str) -> bool {
    slug.rsplit_once('_').is_some_and(|(_, end)| {
        end.len() == HASH_CHARS && end.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn name(projection: &str, version: u32) -> String {
        table_name(&ViewTable::new(ProjectionName::new(projection).unwrap(), version))
    }

    #[test]
    fn a_plain_name_is_kept() {
        assert_eq!(name("trips", 1), "view_trips_v1_g1");
    }

    #[test]
    fn two_projections_never_share_a_table() {
        let long = "x".repeat(99);
        let hashed = name("Trip", 1);
        let hashed = hashed["view_".len()..].trim_end_matches("_v1_g1");
        let names = ["Trip", "trip", "TRIP", "tri p", "tri_p", "tri.p", "trip\"", "é", "è", &long, hashed];
        let tables = names.map(|projection| name(projection, 1));
        let different: HashSet<&String> = tables.iter().collect();
        assert_eq!(different.len(), tables.len(), "{tables:?}");
        for table in &tables {
            assert!(table.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{table}");
        }
        assert_ne!(name(&format!("{long}y"), 1), name(&long, 1));
        assert_ne!(name("a", 11), name("a_v1", 1));
    }
}
