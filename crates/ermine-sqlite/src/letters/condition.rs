use std::fmt::Write as _;

use ermine_core::{ErrorClass, LetterQuery, LetterStatus, ParkKey, ProjectionName, Seq, StreamId, TenantId};
use rusqlite::types::Value;

use crate::statements;

/// What a query asks of letters, as SQL; the same as [`LetterQuery::matches`] says.
#[derive(Debug)]
pub(super) struct Condition {
    text: String,
    values: Vec<Value>,
    /// The index on letters of some statuses that serves it.
    index: Option<&'static str>,
}

/// Which statuses the letters in an index have; the smallest first.
const INDEXES: [(&str, &[LetterStatus]); 2] =
    [("dead_letters_requested", &LetterStatus::REQUESTED), ("dead_letters_open", &LetterStatus::OPEN)];

impl Condition {
    pub(super) fn of(query: &LetterQuery) -> Self {
        let mut it = Self { text: String::new(), values: Vec::new(), index: None };
        it.equals_text("projection", query.projection.as_ref().map(ProjectionName::as_str));
        it.equals("shard", query.shard.as_ref().map(ToString::to_string));
        it.equals_text("tenant", query.tenant.as_ref().map(TenantId::as_str));
        it.equals_text("stream_id", query.stream.as_ref().map(StreamId::as_str));
        it.equals("seq", query.seq.map(Seq::as_i64));
        it.equals_text("class", query.class.map(ErrorClass::as_str));
        if let Some(key) = &query.key {
            let (kind, tenant, id) = ParkKey::parts(Some(key));
            it.equals_text("key_kind", Some(kind));
            it.equals_text("key_tenant", Some(tenant));
            it.equals_text("key_id", Some(id));
        }
        it.is_in(&query.statuses);
        if let Some(after) = &query.after {
            let (shard, seq, kind, tenant, id) = after.order();
            let texts = [kind, tenant, id].map(|text| Value::from(text.to_owned()));
            let row: Vec<Value> = [shard.into(), seq.as_i64().into()].into_iter().chain(texts).collect();
            let places: Vec<String> = row.into_iter().map(|value| it.bind(value)).collect();
            it.and(&format!("(shard, seq, key_kind, key_tenant, key_id) > ({})", places.join(", ")));
        }
        if it.text.is_empty() {
            it.text.push_str("true");
        }
        it
    }

    /// A template with the condition, and with the places of what is bound after its values.
    pub(super) fn in_text(&self, template: &'static str, further: &[&str]) -> String {
        let index = self.index.map(|index| format!(" indexed by {index}")).unwrap_or_default();
        let text = statements::without_header(template).replace("{index}", &index);
        let mut text = text.replace("{conditions}", &self.text);
        for (nth, name) in (self.values.len() + 1..).zip(further) {
            text = text.replace(&format!("{{{name}}}"), &nth.to_string());
        }
        text
    }

    /// What is bound, `further` last.
    pub(super) fn values_and<const N: usize>(&self, further: [Value; N]) -> Vec<Value> {
        self.values.iter().cloned().chain(further).collect()
    }

    fn equals(&mut self, column: &str, wanted: Option<impl Into<Value>>) {
        if let Some(wanted) = wanted {
            let place = self.bind(wanted);
            self.and(&format!("{column} = {place}"));
        }
    }

    fn equals_text(&mut self, column: &str, wanted: Option<&str>) {
        self.equals(column, wanted.map(str::to_owned));
    }

    /// The statuses stand in the text, in their own order, because SQLite uses an index on some of them only where it sees that
    /// no others are wanted; where fewer are, all of the index stand there as well. And the index is named, because without
    /// statistics SQLite takes that of all letters for as good.
    fn is_in(&mut self, statuses: &[LetterStatus]) {
        if statuses.is_empty() {
            return;
        }
        let wanted: Vec<LetterStatus> =
            LetterStatus::ALL.into_iter().filter(|status| statuses.contains(status)).collect();
        let serves = |of: &[LetterStatus]| wanted.iter().all(|status| of.contains(status));
        if let Some((index, of)) = INDEXES.into_iter().find(|(_, of)| serves(of)) {
            self.index = Some(index);
            if of != wanted {
                self.and(&list(of));
            }
        }
        self.and(&list(&wanted));
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn and(&mut self, condition: &str) {
        let and = if self.text.is_empty() { "" } else { " and " };
        let _ = write!(self.text, "{and}{condition}");
    }
}

fn list(statuses: &[LetterStatus]) -> String {
    let names: Vec<String> = statuses.iter().map(|status| format!("'{status}'")).collect();
    format!("status in ({})", names.join(", "))
}

#[cfg(test)]
mod tests {
    use ermine_core::ShardName;
    use rusqlite::{Connection, params_from_iter};

    use super::*;
    use crate::{migrations, statements as sql};

    /// A store with 10,000 letters, most of them settled.
    fn letters() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for migration in migrations::ALL {
            connection.execute_batch(migration.sql).unwrap();
        }
        let fill = "with recursive n(n) as (select 1 union all select n + 1 from n where n < 10000)
            insert into dead_letters (shard, seq, key_kind, key_tenant, key_id, projection, tenant, stream_id, version,
                type, error, attempts, first_at, last_at, status, body)
            select format('Trip:%dof8', 1 + n % 8), n, '', '', '', 'Trip', '', 's', n, 'T', 'e', 1, 0, 0,
                case n % 100 when 0 then 'waiting' when 1 then 'retry' else 'replayed' end, '{}'
            from n";
        connection.execute(fill, []).unwrap();
        connection
    }

    fn plan(connection: &Connection, template: &'static str, query: &LetterQuery) -> String {
        let condition = Condition::of(query);
        let text = format!("explain query plan {}", condition.in_text(template, &["limit"]));
        let mut statement = connection.prepare(&text).unwrap();
        let further = (template == sql::LETTERS_READ).then(|| Value::from(10));
        let bound = condition.values_and([]).into_iter().chain(further);
        let steps = statement.query_map(params_from_iter(bound), |row| row.get(3)).unwrap();
        let steps: Vec<String> = steps.collect::<rusqlite::Result<_>>().unwrap();
        steps.join("; ")
    }

    #[test]
    fn what_the_daemon_asks_again_and_again_is_answered_by_an_index() {
        let connection = letters();
        let shard: ShardName = "Trip:3of8".parse().unwrap();
        let statuses = LetterStatus::REQUESTED.to_vec();
        let requested = LetterQuery { statuses, ..LetterQuery::default() };
        let requested_of_shard = LetterQuery { shard: Some(shard.clone()), ..requested.clone() };
        let open = LetterQuery::open(shard.clone());
        let waiting = LetterQuery { statuses: vec![LetterStatus::Waiting], ..open.clone() };
        for (query, used) in [
            (&requested, "COVERING INDEX dead_letters_requested"),
            (&requested_of_shard, "COVERING INDEX dead_letters_requested (shard=?)"),
            (&open, "COVERING INDEX dead_letters_open (shard=?)"),
            (&waiting, "COVERING INDEX dead_letters_open (shard=?)"),
        ] {
            let plan = plan(&connection, sql::LETTERS_COUNT, query);
            assert!(plan.contains(used), "{query:?}: {plan}");
        }
        let after = ermine_core::LetterId { shard, seq: Seq::new(7), key: None };
        let next = LetterQuery { after: Some(after), ..LetterQuery::default() };
        for (query, used) in [
            (&requested_of_shard, "INDEX dead_letters_requested (shard=?)"),
            (&open, "INDEX dead_letters_open (shard=?)"),
            (&next, "INDEX sqlite_autoindex_dead_letters_1 ((shard,"),
            (&LetterQuery::default(), "INDEX sqlite_autoindex_dead_letters_1"),
        ] {
            let plan = plan(&connection, sql::LETTERS_READ, query);
            assert!(plan.contains(used) && !plan.contains("TEMP B-TREE"), "{query:?}: {plan}");
        }
    }
}
