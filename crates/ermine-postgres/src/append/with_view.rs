use ermine_core::{AppendBatch, Operation, Result, Version};
use postgres_types::ToSql;

use super::{Single, is_plain};
use crate::{Store, job::Param, operations, sql::Sql, value::RawJson};

/// One stream and one view, which the append has read and puts back: what an inline projection of single streams makes of
/// most appends, and one statement.
pub(super) struct WithView<'a> {
    sql: Sql,
    single: Single<'a>,
    view: Vec<Param<'a>>,
}

impl<'a> WithView<'a> {
    /// `None` for an append that is more than that.
    pub(super) fn of(store: &Store, batch: &'a AppendBatch) -> Result<Option<Self>> {
        let ([append], [pin], [Operation::Store { table, key, view }]) =
            (batch.streams(), batch.pins(), batch.operations())
        else {
            return Ok(None);
        };
        if !is_plain(batch) || (&pin.table, &pin.key) != (table, key) {
            return Ok(None);
        }
        let sqls = store.view_sql(table);
        let (tenant, id) = (key.tenant.as_str(), key.id.as_str());
        let mut params: Vec<Param<'a>> = vec![
            Box::new(tenant),
            Box::new(id),
            Box::new(view.version.as_i64()),
            Box::new(view.seq.as_i64()),
        ];
        let sql = match pin.version {
            None => sqls.append_new.clone(),
            Some(version) => {
                params.push(Box::new(Version::as_i64(version)));
                params.push(Box::new(pin.body.as_ref().map(RawJson)));
                sqls.append_next.clone()
            }
        };
        params.extend(operations::cells(table, &[id], &[&view.body])?);
        Ok(Some(Self { sql, single: Single::of(append), view: params }))
    }

    pub(super) const fn sql(&self) -> &Sql {
        &self.sql
    }

    pub(super) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut params = self.single.params();
        params.extend(self.view.iter().map(|param| -> &(dyn ToSql + Sync) { &**param }));
        params
    }
}
