use std::sync::Arc;

use ermine_core::{Error, Native, Operation, Result, SmolStr, Value, ViewTable};

/// What [`Store::kind`](ermine_core::ports::Store::kind) says.
pub(crate) const KIND: &str = "postgres";

/// What native statements begin with: none of these can end a transaction that the client has begun.
const STATEMENTS: [&str; 8] = ["insert", "update", "delete", "merge", "with", "select", "do", "call"];

/// An operation that runs one SQL statement of yours in the transaction of its batch, after the operations before it and
/// before those after it.
///
/// `{schema}` in `statement` stands for the store's schema, and `{table}` for `table` with its schema, both in quotes as far
/// as they need them. `parameters` are `$1`, `$2` and so on: each is read by the server as the type that the statement asks
/// for at that place, so an integer may go where a `numeric` is wanted and text where a `uuid` or a `date` is; where the
/// type is open, say it: `$1::date`.
///
/// A view in `table` has the columns `tenant`, `id`, `data` (`jsonb`), `version` and `seq`. A flat table has its declared
/// columns in place of `data`, and `_version` and `_seq`.
///
/// The statement begins, after any comments, with `insert`, `update`, `delete`, `merge`, `with`, `select`, `do` or `call`;
/// anything else is refused, as it might end the transaction. Whatever it answers is left out. An error of it fails the
/// batch and names it.
///
/// # Examples
///
/// ```
/// use ermine_core::{ProjectionName, Value, ViewTable};
///
/// # fn main() -> ermine_core::Result<()> {
/// let trips = ViewTable::new(ProjectionName::new("Trip")?, 1);
/// let statement = "update {table} set data = jsonb_set(data, '{driver}', to_jsonb($1::text)) where data ->> 'driver' = $2";
/// let operation = ermine_postgres::sql(&trips, statement, ["ada".into(), "bob".into()]);
/// # Ok(())
/// # }
/// ```
pub fn sql(
    table: &ViewTable,
    statement: impl Into<Arc<str>>,
    parameters: impl IntoIterator<Item = Value>,
) -> Operation {
    Operation::Native(Native {
        adapter: SmolStr::new_static(KIND),
        statement: statement.into(),
        parameters: parameters.into_iter().collect(),
        table: table.clone(),
    })
}

/// Refuses what is not for this store, or would end the transaction that it is to be a part of.
pub(crate) fn check(native: &Native) -> Result<()> {
    if native.adapter != KIND {
        return Err(Error::foreign_statement(&native.adapter, KIND));
    }
    let statement = after_comments(&native.statement);
    let end = statement.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(statement.len());
    let first = statement[..end].to_ascii_lowercase();
    if !STATEMENTS.contains(&first.as_str()) {
        return Err(Error::configuration(format!(
            "a native statement must begin with one of {}, and not with `{first}`: the batch is one transaction, which the \
             store begins and ends",
            STATEMENTS.join(", ")
        )));
    }
    Ok(())
}

/// Leaves out white space and comments, as the server does: those of both kinds, of which one has others inside.
fn after_comments(statement: &str) -> &str {
    let mut rest = statement.trim_start();
    loop {
        rest = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.find(['\n', '\r']).map_or("", |end| &comment[end..]),
            (_, Some(comment)) => after_comment(comment),
            _ => return rest,
        }
        .trim_start();
    }
}

/// What follows a comment that has been opened once.
fn after_comment(mut rest: &str) -> &str {
    let mut depth = 1_usize;
    while depth > 0 {
        let Some(place) = rest.find(['*', '/']) else { return "" };
        rest = &rest[place..];
        let (change, skip) = match rest.as_bytes() {
            [b'/', b'*', ..] => (1, 2),
            [b'*', b'/', ..] => (-1, 2),
            _ => (0, 1),
        };
        depth = depth.saturating_add_signed(change);
        rest = &rest[skip..];
    }
    rest
}

/// The statement as a message shows it.
pub(crate) fn shown(statement: &str) -> String {
    let mut words = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(200) {
        words.truncate(end);
        words.push_str("..");
    }
    words
}

#[cfg(test)]
mod tests {
    use ermine_core::ProjectionName;

    use super::*;

    fn checked(statement: &str) -> Result<()> {
        let table = ViewTable::new(ProjectionName::new("Trip").unwrap(), 1);
        match sql(&table, statement, []) {
            Operation::Native(native) => check(&native),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_statement_that_ends_the_transaction_is_refused() {
        for control in [
            "commit",
            " ROLLBACK to x",
            "end;",
            "Begin",
            "prepare transaction 'x'",
            "-- update\ncommit",
            "--\rcommit",
            "/* a /* b */ update */ -- c\n/**/ commit",
            "/*/ */ commit",
            "; commit",
            "/* open",
            "-- open",
            "selection",
            "do_it",
            "",
        ] {
            assert!(checked(control).unwrap_err().to_string().contains("one transaction"), "{control}");
        }
        for fine in [
            "update x set y = 1",
            "delete from commits",
            "/* é /* ** */ / * */ -- why\r\n\tINSERT into x values (1)",
            "with/**/x as (select 1) select 1",
            "select(1)",
            "do $$ begin end $$",
        ] {
            checked(fine).unwrap();
        }
    }

    #[test]
    fn a_statement_is_shown_on_one_line_and_not_in_full_when_it_is_long() {
        assert_eq!(shown("select 1,\n    2"), "select 1, 2");
        assert!(shown(&"é".repeat(1000)).len() < 500);
    }
}
