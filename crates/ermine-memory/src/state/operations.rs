use std::collections::BTreeMap;

use ermine_core::{
    Body, Error, Filter, Layout, Native, NewEvent, Operation, Result, StoredView, StreamId, TenantId,
    Timestamp, ViewId, ViewKey, ViewTable,
};

use super::{Data, Row, State, TxId, append::rows_of_events, columns, staged::Staged};
use crate::KIND;

impl State {
    /// Does what the operations say, as if one by one; the transaction keeps it to itself.
    pub(super) fn operate(&mut self, tx: TxId, operations: &[Operation]) -> Result<()> {
        for operation in operations {
            if let Operation::Append { tenant, stream, events } = operation {
                self.append_rest(tx, (tenant, stream), events)?;
            } else {
                self.change(tx, |data, staged, _| data.operate(staged, operation))?;
            }
        }
        Ok(())
    }

    /// Appends the events that are not recorded yet.
    fn append_rest(
        &mut self,
        tx: TxId,
        (tenant, stream): (&TenantId, &StreamId),
        events: &[NewEvent],
    ) -> Result<()> {
        let staged = &self.transaction(tx)?.staged;
        if events.iter().all(|new| self.data.is_recorded(staged, new.id())) {
            return Ok(());
        }
        let mut version = self.data.version(staged, tenant, stream)?;
        self.announce(tx)?;
        self.change(tx, |data, staged, since: Timestamp| {
            for new in events {
                if !data.is_recorded(staged, new.id()) {
                    version = version.plus(1);
                    data.draw(staged, (tenant, stream), None, version, since, new);
                }
            }
            Ok(())
        })
    }
}

impl Data {
    /// Does what one operation says, unless it appends.
    pub(super) fn operate(&self, staged: &mut Staged, operation: &Operation) -> Result<()> {
        match operation {
            Operation::Store { table, key, view } => {
                let view = StoredView { body: self.laid_out(table, key, &view.body)?, ..view.clone() };
                staged.views.push((table.clone(), key.clone(), Some(view)));
            }
            Operation::Delete { table, key } => staged.views.push((table.clone(), key.clone(), None)),
            Operation::DeleteWhere { table, tenant, filter } => {
                self.delete_where(staged, table, tenant, filter)?;
            }
            Operation::Publish(message) => {
                let known = self.messages.knows(message.id)
                    || staged.messages.iter().any(|staged| staged.id == message.id);
                if !known {
                    staged.messages.push(message.clone());
                }
            }
            Operation::Native(Native { adapter, .. }) if adapter != KIND => {
                return Err(Error::foreign_statement(adapter, KIND));
            }
            Operation::Native(_) => {
                return Err(Error::configuration("the memory store has no language for native statements"));
            }
            other => return Err(Error::configuration(format!("the memory store cannot do {other:?}"))),
        }
        Ok(())
    }

    /// The view as a transaction sees it that has staged this.
    pub(super) fn view<'a>(
        &'a self,
        staged: &'a Staged,
        table: &ViewTable,
        key: &ViewKey,
    ) -> Option<&'a StoredView> {
        let mine = staged.views.iter().rev().find(|(of, changed, _)| changed == key && of == table);
        match mine {
            Some((_, _, view)) => view.as_ref(),
            None => self.views.get(table)?.get(&key.tenant)?.get(&key.id),
        }
    }

    fn delete_where(
        &self,
        staged: &mut Staged,
        table: &ViewTable,
        tenant: &TenantId,
        filter: &Filter,
    ) -> Result<()> {
        let stored = self.views.get(table).and_then(|tenants| tenants.get(tenant));
        let mut there: BTreeMap<&ViewId, &StoredView> = stored.into_iter().flatten().collect();
        for (_, key, view) in staged.views.iter().filter(|(of, key, _)| of == table && key.tenant == *tenant)
        {
            match view {
                Some(view) => there.insert(&key.id, view),
                None => there.remove(&key.id),
            };
        }
        let mut gone = Vec::new();
        for (id, view) in there {
            let document = view.body.decode().map_err(|e| not_json(id, e))?;
            if filter.matches(&document) {
                gone.push((table.clone(), ViewKey { tenant: tenant.clone(), id: id.clone() }, None));
            }
        }
        staged.views.append(&mut gone);
        Ok(())
    }

    /// The body as the table keeps it.
    fn laid_out(&self, table: &ViewTable, key: &ViewKey, body: &Body) -> Result<Body> {
        // Whoever opens a table by its name alone gets the layout that it was made with.
        let layout = match table.layout() {
            Layout::Document => self.tables.get(table).unwrap_or(&Layout::Document),
            columns @ Layout::Columns(_) => columns,
        };
        match layout {
            Layout::Document => Ok(body.clone()),
            Layout::Columns(columns) => columns::row(columns, body).map_err(|e| {
                Error::serialization(format!("cannot store row \"{}\" of {table}", key.id)).with_source(e)
            }),
        }
    }
}

pub(super) fn not_json(id: &ViewId, error: serde_json::Error) -> Error {
    Error::serialization(format!("the body of view \"{id}\" is not JSON")).with_source(error)
}

/// What an operation must hold against others.
pub(super) fn rows_of_operation<'o>(
    data: &'o Data,
    operation: &'o Operation,
) -> Box<dyn Iterator<Item = Row> + 'o> {
    match operation {
        Operation::DeleteWhere { table, tenant, .. } => {
            // All that is there: which of them match may have changed when the rows are free.
            let views = data.views.get(table).and_then(|tenants| tenants.get(tenant));
            let key = |id: &ViewId| ViewKey { tenant: tenant.clone(), id: id.clone() };
            Box::new(views.into_iter().flatten().map(move |(id, _)| Row::View(table.clone(), key(id))))
        }
        Operation::Append { tenant, stream, events } => {
            Box::new(rows_of_events(Row::Stream(tenant.clone(), stream.clone()), events))
        }
        Operation::Publish(message) => Box::new(std::iter::once(Row::Message(message.id))),
        operation => {
            let view = operation.view().map(|(table, key)| Row::View(table.clone(), key.clone()));
            Box::new(view.into_iter())
        }
    }
}
