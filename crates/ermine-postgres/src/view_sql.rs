//! Names of view tables, and their statements.

mod flat;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ermine_core::{Layout, Uuid, ViewTable};
pub(crate) use flat::{column_definition, column_type, moment, quoted, sql_view};
use postgres_types::Type;

use crate::{
    SchemaName,
    sql::{self, Sql},
};

/// The longest name that PostgreSQL keeps.
const NAME_BYTES_MAX: usize = 63;

/// What names views.
const KEYS: &[Type] = &[Type::TEXT_ARRAY, Type::TEXT_ARRAY];
/// What comes before the cells of views that are put somewhere.
const VIEWS: &[Type] = &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::INT8_ARRAY];
/// What comes before the cells of a view that is put there by an append: the append, and what the view is beside them.
const NEW_VIEW: &[Type] = &[
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::UUID_ARRAY,
    Type::TEXT_ARRAY,
    Type::JSON_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::INT8,
];
/// What a view must be to be put in another's place.
const PINNED: &[Type] = &[Type::INT8, Type::JSONB];

/// The statements of one view table.
#[derive(Debug)]
pub(crate) struct ViewSql {
    pub(crate) name: String,
    pub(crate) create: String,
    pub(crate) store: Sql,
    pub(crate) insert: Sql,
    pub(crate) append_new: Sql,
    pub(crate) append_next: Sql,
    pub(crate) delete: Sql,
    pub(crate) pin: Sql,
    pub(crate) load: Sql,
    pub(crate) query: Sql,
    /// These three are open where a filter or an order goes.
    pub(crate) select: String,
    pub(crate) count: String,
    pub(crate) delete_where: String,
    layout: Layout,
}

/// The statements of all view tables that have been asked for.
#[derive(Debug)]
pub(crate) struct ViewSqls {
    schema: SchemaName,
    known: Mutex<HashMap<ViewTable, Arc<ViewSql>>>,
}

impl ViewSqls {
    pub(crate) fn new(schema: SchemaName) -> Self {
        Self { schema, known: Mutex::default() }
    }

    pub(crate) fn of(&self, table: &ViewTable) -> Arc<ViewSql> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // The layout is not part of what makes tables equal.
        if let Some(found) = known.get(table).filter(|found| found.layout == *table.layout()) {
            return Arc::clone(found);
        }
        let made = Arc::new(ViewSql::new(&self.schema, table));
        known.insert(table.clone(), Arc::clone(&made));
        made
    }
}

/// What differs between the layouts, as SQL.
struct Pieces {
    /// The definitions of the columns that hold the view.
    columns: String,
    /// Those columns, each after a comma.
    names: String,
    /// The types of the arrays of what goes into them.
    types: Vec<Type>,
    /// What goes into them, out of `u`.
    values: String,
    /// The same on a conflict.
    sets: String,
    /// The view as JSON, out of `v`.
    body: String,
    version: &'static str,
    seq: &'static str,
    updated_at: &'static str,
}

impl Pieces {
    fn of(layout: &Layout) -> Self {
        match layout {
            Layout::Document => Self {
                columns: "  data jsonb not null,".into(),
                names: ", data".into(),
                types: vec![Type::JSONB_ARRAY],
                values: ", u.data".into(),
                sets: ", data = excluded.data".into(),
                body: "v.data".into(),
                version: "version",
                seq: "seq",
                updated_at: "updated_at",
            },
            Layout::Columns(columns) => flat::pieces(columns),
        }
    }

    /// The arrays, as parameters after `count` others; each after a comma, and with `suffix`.
    fn parameters_after(&self, count: usize, suffix: &str) -> String {
        (1..=self.types.len()).map(|nth| format!(", ${}{suffix}", count + nth)).collect()
    }
}

impl ViewSql {
    fn new(schema: &SchemaName, table: &ViewTable) -> Self {
        let name = table_name(table);
        let (quoted, literal) = (format!("\"{name}\""), format!("'{name}'"));
        let pieces = Pieces::of(table.layout());
        let version_literal = format!("'{}'", pieces.version);
        let parameters = pieces.parameters_after(VIEWS.len(), "");
        let new_view = pieces.parameters_after(NEW_VIEW.len(), "[1]");
        let next_view = pieces.parameters_after(NEW_VIEW.len() + PINNED.len(), "[1]");
        let values = [
            ("table", quoted.as_str()),
            ("table_literal", &literal),
            ("version_literal", &version_literal),
            ("columns", &pieces.columns),
            ("names", &pieces.names),
            ("parameters", &parameters),
            ("new_view", &new_view),
            ("next_view", &next_view),
            ("values", &pieces.values),
            ("sets", &pieces.sets),
            ("body", &pieces.body),
            ("version", pieces.version),
            ("seq", pieces.seq),
            ("updated_at", pieces.updated_at),
        ];
        let text = |template: &str| sql::render(template, schema, &values);
        let with_cells = |types: &[&[Type]]| [types, &[&pieces.types]].concat().concat();
        let views = with_cells(&[VIEWS]);
        Self {
            create: text(include_str!("sql/view_create.sql")),
            store: Sql::new(text(include_str!("sql/view_store.sql")), views.clone()),
            insert: Sql::new(text(include_str!("sql/view_insert.sql")), views),
            append_new: Sql::new(text(include_str!("sql/append_new_view.sql")), with_cells(&[NEW_VIEW])),
            append_next: Sql::new(
                text(include_str!("sql/append_next_view.sql")),
                with_cells(&[NEW_VIEW, PINNED]),
            ),
            delete: Sql::new(text(include_str!("sql/view_delete.sql")), KEYS),
            pin: Sql::new(
                text(include_str!("sql/view_pin.sql")),
                const { &[Type::TEXT_ARRAY, Type::TEXT_ARRAY, Type::INT8_ARRAY, Type::JSONB_ARRAY] },
            ),
            load: Sql::new(text(include_str!("sql/view_load.sql")), KEYS),
            query: Sql::new(
                text(include_str!("sql/view_query.sql")),
                const { &[Type::TEXT, Type::TEXT, Type::INT8] },
            ),
            select: text(include_str!("sql/view_select.sql")),
            count: text(include_str!("sql/view_count.sql")),
            delete_where: text(include_str!("sql/view_delete_where.sql")),
            layout: table.layout().clone(),
            name,
        }
    }

    /// The table with its schema, as SQL takes it.
    pub(crate) fn full_name(&self, schema: &SchemaName) -> String {
        format!("{}.\"{}\"", schema.quoted(), self.name)
    }
}

/// `view_<name>_v<version>_g<generation>`, or with a hash of the projection's name after it where the name had to be
/// changed; so two projections never share a table.
pub(crate) fn table_name(table: &ViewTable) -> String {
    let name = table.projection().as_str();
    let suffix = format!("_v{}_g{}", table.version(), table.generation());
    let room = NAME_BYTES_MAX - "view_".len() - suffix.len();
    let slug: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    // A name that ends like a hash of ours is given one, so that nobody can choose the table of another.
    if slug == name && slug.len() <= room && !ends_like_a_hash(&slug) {
        return format!("view_{slug}{suffix}");
    }
    let hash = hash(name);
    let slug = &slug[..slug.len().min(room - HASH_CHARS - 1)];
    format!("view_{slug}_{hash}{suffix}")
}

/// The name of an index of a table, told apart by `what`.
pub(crate) fn index_name(table: &str, what: &str) -> String {
    let room = NAME_BYTES_MAX - HASH_CHARS - 1;
    format!("{}_{}", &table[..table.len().min(room)], hash(&format!("{table} {what}")))
}

const HASH_CHARS: usize = 16;

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
mod tests;
