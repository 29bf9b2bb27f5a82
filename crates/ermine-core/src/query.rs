//! Questions about views that every store answers alike.

mod compare;
mod field;
mod filter;

use std::num::NonZeroUsize;

pub use field::{Field, field};
pub use filter::{Comparison, Filter};

use crate::{Body, TenantId, ViewId, ViewTable};

/// Asks for views of one table and one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewQuery {
    /// Which table.
    pub table: ViewTable,
    /// Whose views.
    pub tenant: TenantId,
    /// Which of them; `None` means all.
    pub filter: Option<Filter>,
    /// In which order; views that tie, and all when this is empty, are ordered by id bytewise, ascending.
    pub order: Vec<Order>,
    /// Only ids after this one.
    pub after: Option<ViewId>,
    /// How many to leave out at the beginning.
    pub offset: usize,
    /// The most views to give.
    pub limit: NonZeroUsize,
}

impl ViewQuery {
    /// All views of a table, those of the default tenant, ordered by id.
    #[must_use]
    pub fn new(table: ViewTable, limit: NonZeroUsize) -> Self {
        Self {
            table,
            tenant: TenantId::default(),
            filter: None,
            order: Vec::new(),
            after: None,
            offset: 0,
            limit,
        }
    }

    /// What the query does, on views in any order: the meaning that every store has to give it.
    ///
    /// # Errors
    ///
    /// What `serde_json` says of a body that is not JSON.
    pub fn select<T>(
        &self,
        views: impl IntoIterator<Item = (ViewId, T)>,
        body: impl Fn(&T) -> &Body,
    ) -> serde_json::Result<Vec<(ViewId, T)>> {
        let mut matching = Vec::new();
        for (id, view) in views {
            if self.after.as_ref().is_some_and(|after| id <= *after) {
                continue;
            }
            let document: serde_json::Value = body(&view).decode()?;
            if self.filter.as_ref().is_none_or(|filter| filter.matches(&document)) {
                matching.push((document, id, view));
            }
        }
        matching.sort_by(|(a, a_id, _), (b, b_id, _)| {
            let by_fields = self.order.iter().map(|order| order.compare(a, b));
            by_fields.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then_with(|| a_id.cmp(b_id))
        });
        let page = matching.into_iter().skip(self.offset).take(self.limit.get());
        Ok(page.map(|(_, id, view)| (id, view)).collect())
    }
}

/// One field to order by.
///
/// Ascending, a missing field or null comes first, then `false`, `true`, numbers by value, text bytewise, and last
/// arrays and objects, which tie. Descending is the reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Which field.
    pub field: Field,
    /// Whether the order is reversed.
    pub descending: bool,
}

impl Order {
    fn compare(&self, a: &serde_json::Value, b: &serde_json::Value) -> std::cmp::Ordering {
        let ascending = compare::rank(self.field.of(a), self.field.of(b));
        if self.descending { ascending.reverse() } else { ascending }
    }
}

/// An index on one field of the views of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldIndex {
    /// Which field.
    pub field: Field,
    /// What it holds: an index serves comparisons with values of its kind.
    pub kind: FieldKind,
}

/// What an indexed field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// Text.
    Text,
    /// Numbers, booleans.
    Number,
}
