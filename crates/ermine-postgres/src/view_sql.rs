//! Names of view tables, and their statements.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ermine_core::{Uuid, ViewTable};
use postgres_types::Type;

use crate::{SchemaName, sql, sql::Sql};

/// The longest name that PostgreSQL keeps.
const NAME_BYTES_MAX: usize = 63;

/// The statements of one view table.
#[derive(Debug)]
pub(crate) struct ViewSql {
    pub(crate) name: String,
    pub(crate) create: Sql,
    pub(crate) store: Sql,
    pub(crate) delete: Sql,
    pub(crate) load: Sql,
    pub(crate) query: Sql,
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
        if let Some(found) = known.get(table) {
            return Arc::clone(found);
        }
        let made = Arc::new(ViewSql::new(&self.schema, table));
        known.insert(table.clone(), Arc::clone(&made));
        made
    }
}

macro_rules! view_sql {
    ($file:literal, $schema:expr, $table:expr, [$($type:ident),*]) => {
        Sql::new(sql::render(include_str!($file), $schema, &[("table", $table)]), &[$(Type::$type),*])
    };
}

impl ViewSql {
    fn new(schema: &SchemaName, table: &ViewTable) -> Self {
        let name = table_name(table);
        let quoted = format!("\"{name}\"");
        Self {
            create: view_sql!("sql/view_create.sql", schema, &quoted, []),
            store: view_sql!(
                "sql/view_store.sql",
                schema,
                &quoted,
                [TEXT_ARRAY, TEXT_ARRAY, JSONB_ARRAY, INT8_ARRAY, INT8_ARRAY]
            ),
            delete: view_sql!("sql/view_delete.sql", schema, &quoted, [TEXT_ARRAY, TEXT_ARRAY]),
            load: view_sql!("sql/view_load.sql", schema, &quoted, [TEXT_ARRAY, TEXT_ARRAY]),
            query: view_sql!("sql/view_query.sql", schema, &quoted, [TEXT, TEXT, INT8]),
            name,
        }
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
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string();
    let hash = &hash[..HASH_CHARS];
    let slug = &slug[..slug.len().min(room - HASH_CHARS - 1)];
    format!("view_{slug}_{hash}{suffix}")
}

const HASH_CHARS: usize = 16;

fn ends_like_a_hash(slug: &str) -> bool {
    slug.rsplit_once('_').is_some_and(|(_, end)| {
        end.len() == HASH_CHARS && end.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ermine_core::ProjectionName;

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
        let same = [
            "Trip",
            "trip",
            "TRIP",
            "tri p",
            "tri_p",
            "tri.p",
            "trip\"",
            "é",
            "è",
            &long,
            &format!("{long}y"),
            name("Trip", 1)["view_".len()..].trim_end_matches("_v1_g1"),
        ]
        .map(|projection| name(projection, 1));
        let different: HashSet<&String> = same.iter().collect();
        assert_eq!(different.len(), same.len(), "{same:?}");
        for name in same {
            assert!(name.len() <= NAME_BYTES_MAX && name.is_ascii() && !name.contains('"'), "{name}");
        }
        assert!(name(&long, u32::MAX).len() <= NAME_BYTES_MAX);
        assert_ne!(name("a", 11), name("a_v1", 1));
    }
}
