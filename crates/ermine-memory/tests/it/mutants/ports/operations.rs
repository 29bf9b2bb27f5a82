use ermine_core::{
    Body, Comparison, EffectId, Field, Filter, Native, Operation, TenantId, Uuid, Value, ViewKey, ViewTable,
};
use serde_json::{Number, Value as Json};

use super::{Flaw, Mutant, renew};

impl Mutant {
    pub(super) fn table(&self, table: &ViewTable) -> ViewTable {
        match self.flaw {
            Flaw::MixesVersionsOfAProjection => ViewTable::new(table.projection().clone(), 1),
            Flaw::KeepsRowsAsDocuments => table.clone().with_layout(ermine_core::Layout::Document),
            _ => table.clone(),
        }
    }

    pub(super) fn key(&self, key: &ViewKey) -> ViewKey {
        match self.flaw {
            Flaw::MixesTenants => ViewKey::new(key.id.clone()),
            _ => key.clone(),
        }
    }

    /// What operations become on their way to a flawed store.
    pub(super) fn spoil_operations(&self, operations: Vec<Operation>) -> Vec<Operation> {
        let mut operations: Vec<Operation> = operations.into_iter().map(|o| self.operation(o)).collect();
        match self.flaw {
            Flaw::OperatesInReverse => operations.reverse(),
            Flaw::DeletesWhereFirst => {
                operations.sort_by_key(|o| !matches!(o, Operation::DeleteWhere { .. }));
            }
            Flaw::DeletesWhereOfAllTenants => {
                operations = operations.into_iter().flat_map(of_all_tenants).collect();
            }
            Flaw::PassesOverForeignStatements => {
                operations.retain(|o| !matches!(o, Operation::Native(Native { .. })));
            }
            _ => {}
        }
        operations
    }

    fn operation(&self, operation: Operation) -> Operation {
        match operation {
            Operation::Store { table, key, mut view } => {
                if self.flaw == Flaw::KeepsFifteenDigits {
                    view.body = short_of_digits(&view.body);
                }
                Operation::Store { table: self.table(&table), key: self.key(&key), view }
            }
            Operation::Delete { table, key } => {
                Operation::Delete { table: self.table(&table), key: self.key(&key) }
            }
            Operation::DeleteWhere { table, tenant, filter } => {
                Operation::DeleteWhere { table: self.table(&table), tenant, filter: self.filter(filter) }
            }
            Operation::Append { tenant, stream, mut events } => {
                if self.flaw == Flaw::AppendsKnownEventsAgain {
                    renew(&mut events);
                }
                Operation::Append { tenant, stream, events }
            }
            Operation::Publish(mut message) => {
                if self.flaw == Flaw::SendsMessagesAgain {
                    message.id = EffectId(Uuid::new_v4());
                }
                Operation::Publish(message)
            }
            other => other,
        }
    }

    pub(super) fn filter(&self, filter: Filter) -> Filter {
        match self.flaw {
            Flaw::RoundsNumbers => rounded(filter),
            Flaw::FindsNumbersNearby => nearby(filter),
            _ => filter,
        }
    }
}

/// A body whose numbers have been through the short form of a text.
pub(super) fn short_of_digits(body: &Body) -> Body {
    fn cut(json: &mut Json) {
        match json {
            Json::Number(number) if number.is_f64() => {
                let short = number.as_f64().and_then(|real| format!("{real:.14e}").parse().ok());
                *number = short.and_then(Number::from_f64).unwrap_or_else(|| number.clone());
            }
            Json::Array(all) => all.iter_mut().for_each(cut),
            Json::Object(all) => all.values_mut().for_each(cut),
            _ => {}
        }
    }
    let mut document: Json = body.decode().unwrap();
    cut(&mut document);
    Body::encode(&document).unwrap()
}

/// Numbers as good as equal count as equal.
fn nearby(filter: Filter) -> Filter {
    match filter {
        Filter::Compare { field, comparison: Comparison::Equal, value: Value::Real(value) } => {
            let margin = value.abs() * 1e-12;
            field.clone().ge(value - margin).and(field.le(value + margin))
        }
        other => other,
    }
}

fn of_all_tenants(operation: Operation) -> Vec<Operation> {
    let Operation::DeleteWhere { table, filter, .. } = operation else { return vec![operation] };
    let of = |tenant| Operation::DeleteWhere { table: table.clone(), tenant, filter: filter.clone() };
    vec![of(TenantId::default()), of(TenantId::new("acme").unwrap())]
}

/// Every number as a real: what has more digits is not told apart any more.
fn rounded(filter: Filter) -> Filter {
    match filter {
        Filter::Compare { field, comparison, value: Value::Integer(value) } => {
            Filter::Compare { field, comparison, value: Value::Real(value as f64) }
        }
        Filter::And(all) => Filter::And(all.into_iter().map(rounded).collect()),
        Filter::Or(any) => Filter::Or(any.into_iter().map(rounded).collect()),
        Filter::Not(filter) => rounded(*filter).negated(),
        other => other,
    }
}

/// Every field that is compared.
pub(super) fn fields(filter: &Filter) -> Vec<Field> {
    match filter {
        Filter::Compare { field, .. } => vec![field.clone()],
        Filter::And(all) | Filter::Or(all) => all.iter().flat_map(fields).collect(),
        Filter::Not(filter) => fields(filter),
        _ => Vec::new(),
    }
}
