//! The statements of this adapter, read from `sql/*.sql` and put into their schema once.

use std::{borrow::Cow, sync::Arc};

use postgres_types::Type;

use crate::SchemaName;

/// One statement and the types of its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Sql {
    text: Arc<str>,
    types: Cow<'static, [Type]>,
}

impl Sql {
    pub(crate) fn new(text: impl Into<Arc<str>>, types: impl Into<Cow<'static, [Type]>>) -> Self {
        Self { text: text.into(), types: types.into() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    pub(crate) fn types(&self) -> &[Type] {
        &self.types
    }
}

macro_rules! statements {
    ($($name:ident [$($type:ident),*];)*) => {
        /// Every statement that does not depend on a view table, ready for its schema.
        #[derive(Debug)]
        pub(crate) struct Statements {
            $(pub(crate) $name: Sql,)*
        }

        impl Statements {
            pub(crate) fn new(schema: &SchemaName) -> Self {
                Self {
                    $($name: Sql::new(
                        render(include_str!(concat!("sql/", stringify!($name), ".sql")), schema, &[]),
                        const { &[$(Type::$type),*] as &'static [Type] },
                    ),)*
                }
            }
        }
    };
}

statements! {
    advance [TEXT, INT8, INT8, INT8, UUID, INT8, INT8, TEXT_ARRAY];
    append_events [TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT4_ARRAY, INT4_ARRAY,
        UUID_ARRAY, TEXT_ARRAY, JSON_ARRAY, TEXT_ARRAY, TEXT_ARRAY, JSON_ARRAY, BOOL, TEXT_ARRAY];
    append_events_after [TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT4_ARRAY, INT4_ARRAY,
        UUID_ARRAY, TEXT_ARRAY, JSON_ARRAY, TEXT_ARRAY, TEXT_ARRAY, JSON_ARRAY, BOOL, TEXT_ARRAY];
    append_missing [TEXT_ARRAY, TEXT_ARRAY, UUID_ARRAY, TEXT_ARRAY, JSON_ARRAY, TEXT_ARRAY, TEXT_ARRAY, JSON_ARRAY];
    append_stream [TEXT, TEXT, INT8, UUID_ARRAY, TEXT_ARRAY, JSON_ARRAY, TEXT];
    archive_stream [TEXT, TEXT, UUID];
    begin_append [TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT4_ARRAY, UUID_ARRAY, BOOL];
    begin_batch [];
    check_store [];
    clear_wishes [TEXT_ARRAY];
    copy_page [];
    copy_page_filtered [];
    copy_page_of_type [];
    count_letters [];
    explain [];
    explain_holders [];
    high_water [INT8, INT8];
    high_water_holders [INT8, INT8];
    letters [];
    load_page [INT8, INT8, INT8, UUID];
    load_page_filtered [INT8, INT8, INT8, UUID, TEXT_ARRAY, TEXT_ARRAY];
    load_page_of_type [INT8, INT8, INT8, UUID, TEXT_ARRAY, TEXT_ARRAY, TEXT];
    locate_after [INT8];
    locate_since [TIMESTAMPTZ];
    lock_absent [TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY];
    lock_class [];
    lock_classes [];
    lock_streams [TEXT_ARRAY, TEXT_ARRAY];
    migration_record [INT4, TEXT, UUID];
    migrations_applied [];
    migrations_create [];
    park_events [TEXT, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY];
    parked_events [TEXT, TEXT, TEXT, TEXT, INT8, INT8];
    parked_keys [TEXT];
    pending_messages [INT8];
    place_shard [TEXT, INT8];
    publish [UUID_ARRAY, TEXT_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, JSON_ARRAY];
    purge_letters [TIMESTAMPTZ];
    put_letters [TEXT_ARRAY, INT8_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY,
        TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY, TIMESTAMPTZ_ARRAY, TIMESTAMPTZ_ARRAY, TEXT_ARRAY,
        TEXT_ARRAY, TEXT_ARRAY, TIMESTAMPTZ_ARRAY];
    put_wish [TEXT, TEXT, TEXT, TIMESTAMPTZ, TIMESTAMPTZ];
    read_events [INT8_ARRAY];
    read_head [TEXT, TEXT];
    read_heads [TEXT_ARRAY, TEXT_ARRAY];
    read_progress [];
    read_stream [TEXT, TEXT, INT8, INT8];
    release_events [TEXT, TEXT_ARRAY, TEXT_ARRAY, TEXT_ARRAY, INT8_ARRAY];
    request_letters [];
    reset [];
    settle_messages [UUID_ARRAY];
    skip_events [INT8_ARRAY, TEXT];
    statistics [];
    still_in_batch [];
    store_state [];
    take_shards [TEXT_ARRAY];
    view_register [TEXT, INT8, INT8, TEXT];
    view_relations [TEXT_ARRAY];
    wishes [];
}

/// Leaves out the header and fills in the schema and `more`, in one pass, so that nothing that was filled in is looked at
/// again.
pub(crate) fn render(template: &str, schema: &SchemaName, more: &[(&str, &str)]) -> String {
    let body: String = template
        .split_inclusive('\n')
        .skip_while(|line| line.starts_with("--") || line.trim().is_empty())
        .collect();
    let (quoted, literal) = (schema.quoted(), schema.literal());
    let known = [("schema", quoted.as_str()), ("schema_literal", literal.as_str())];
    fill(body.trim_end(), &[&known, more])
}

fn fill(template: &str, values: &[&[(&str, &str)]]) -> String {
    let mut out = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        let value = from.find('}').and_then(|close| {
            let (_, value) = values.iter().copied().flatten().find(|(name, _)| *name == &from[1..close])?;
            Some((value, &from[close + 1..]))
        });
        match value {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Fills what [`render`] has left open, with numbers and quoted texts only.
pub(crate) fn complete(text: &str, values: &[(&str, &str)]) -> String {
    fill(text, &[values])
}

/// A text as an SQL constant, whatever `standard_conforming_strings` says.
pub(crate) fn quote_text(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Texts as an SQL array constant.
pub(crate) fn quote_texts<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = texts.map(quote_text).collect();
    format!("array[{}]::pg_catalog.text[]", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let schema = SchemaName::new("a schema").unwrap();
        let text =
            render("-- header {schema}\nselect {a}, {schema}.x, '{}', {b}\n", &schema, &[("a", "{b}")]);
        assert_eq!(text, "select {b}, \"a schema\".x, '{}', {b}");
    }

    #[test]
    fn a_text_cannot_end_its_quotes() {
        assert_eq!(quote_text(r"a'b\c"), r"E'a''b\\c'");
        assert_eq!(quote_texts(["a", "b"].into_iter()), "array[E'a',E'b']::pg_catalog.text[]");
    }

    #[test]
    fn every_statement_has_its_schema_filled_in() {
        let all = format!("{:?}", Statements::new(&SchemaName::default()));
        assert!(!all.contains("{schema"), "{all}");
    }
}
