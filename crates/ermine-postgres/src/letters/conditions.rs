use ermine_core::{LetterQuery, LetterStatus, ParkKey, Value};

/// What letters must be to match a query, and the parameters of that.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// As [`LetterQuery::matches`] says.
    pub(super) fn of(query: &LetterQuery) -> Self {
        let mut asked = Self::default();
        if let Some(projection) = &query.projection {
            asked.equal("projection", text(projection.as_str()));
        }
        if let Some(shard) = &query.shard {
            asked.equal("shard", text(shard.to_string()));
        }
        if let Some(tenant) = &query.tenant {
            asked.equal("tenant", text(tenant.as_str()));
        }
        if let Some(stream) = &query.stream {
            asked.equal("stream_id", text(stream.as_str()));
        }
        if let Some(seq) = query.seq {
            asked.equal("seq", Value::Integer(seq.as_i64()));
        }
        if let Some(key) = &query.key {
            let (kind, tenant, id) = ParkKey::parts(Some(key));
            asked.equal("key_kind", text(kind));
            asked.equal("key_tenant", text(tenant));
            asked.equal("key_id", text(id));
        }
        if let Some(class) = query.class {
            asked.equal("class", text(class.as_str()));
        }
        if !query.statuses.is_empty() {
            asked.conditions.push(format!("status in ({})", names(&query.statuses)));
        }
        if let Some(after) = &query.after {
            let (shard, seq, kind, tenant, id) = after.order();
            let values = [text(shard), Value::Integer(seq.as_i64()), text(kind), text(tenant), text(id)];
            let parameters = values.map(|value| asked.parameter(value)).join(", ");
            asked.conditions.push(format!("(shard, seq, key_kind, key_tenant, key_id) > ({parameters})"));
        }
        asked
    }

    fn equal(&mut self, column: &str, value: Value) {
        let parameter = self.parameter(value);
        self.conditions.push(format!("{column} = {parameter}"));
    }

    /// Takes one more value, and answers with what stands for it.
    pub(super) fn parameter(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    pub(super) fn text(&self) -> String {
        if self.conditions.is_empty() { "true".into() } else { self.conditions.join(" and ") }
    }

    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }
}

/// Statuses as SQL constants: no parameter tells the server that a partial index will do.
pub(super) fn names(statuses: &[LetterStatus]) -> String {
    let names: Vec<String> = statuses.iter().map(|status| format!("'{status}'")).collect();
    names.join(", ")
}

fn text(text: impl Into<String>) -> Value {
    Value::Text(text.into())
}
