mod row;
mod rule;

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use self::row::{Fields, checked};
pub use self::rule::RowRule;
use super::{
    EventTypes, Failure, Failures, Kind, Lifecycle, Output, Plan, PlanInput, PlannedView, Projected, ViewIds,
    ViewType,
    change::is_change,
    failures::Gathered,
    grouped::{Groups, decode, fold_views, user_code},
};
use crate::{
    ApplyError, Body, Column, ColumnKind, Columns, DomainEvent, Event, Layout, Operation, Recorded, Result,
    Seq, SqlName, StoredView, Value, Version, ViewId, ViewKey,
};

/// Makes a projection whose views are the rows of a table with declared columns, for plain SQL to read: in the table
/// `table` of the store's schema (for version 2 and above `<table>_v<version>`), beside the columns `tenant` and `id`.
///
/// There is one row per stream, under the stream's id, unless [`keyed_by`](Projected::keyed_by) says otherwise. An event that
/// finds no row makes one, with the defaults in the columns that it does not set; it does nothing when that leaves a column
/// empty that must not be.
///
/// ```
/// use ermine_core::{ColumnKind, DomainEvent, flat_table};
///
/// #[derive(DomainEvent)]
/// #[event(crate = "ermine_core")]
/// enum TripEvent {
///     Started { driver: String },
///     Travelled { km: f64 },
///     Ended,
///     Cancelled,
/// }
///
/// let trips = flat_table::<TripEvent>("TripRows", "trips")
///     .column("driver", ColumnKind::Text)
///     .column_or("km", ColumnKind::Real, 0.0)
///     .column_or("legs", ColumnKind::Integer, 0)
///     .nullable("ended_at", ColumnKind::Timestamp)
///     .on("trip.started", |row| row.map("driver"))
///     .on("trip.travelled", |row| row.increment_from("km", "km").increment("legs", 1))
///     .on("trip.ended", |row| row.recorded_at("ended_at"))
///     .on("trip.cancelled", |row| row.delete());
/// # let _ = trips;
/// ```
pub fn flat_table<E: DomainEvent>(
    name: impl Into<SmolStr>,
    table: impl Into<SmolStr>,
) -> Projected<FlatTable<E>> {
    let kind = FlatTable {
        table: table.into(),
        columns: Vec::new(),
        rules: BTreeMap::new(),
        key: Box::new(|event, take| {
            take(event.stream().clone().into());
            Ok(())
        }),
        is_per_stream: true,
    };
    Projected::new(name, kind)
}

type Key<E> = Box<dyn Fn(&Recorded<E>, &mut dyn FnMut(ViewId)) -> Result<()> + Send + Sync>;

/// Rows of declared columns: see [`flat_table`].
pub struct FlatTable<E> {
    table: SmolStr,
    columns: Vec<DeclaredColumn>,
    rules: BTreeMap<SmolStr, Rule<E>>,
    key: Key<E>,
    is_per_stream: bool,
}

type MakeRule<E> = Box<dyn Fn(&Recorded<E>, RowRule) -> RowRule + Send + Sync>;

/// What events of a type do to their row.
enum Rule<E> {
    Fixed(RowRule),
    /// It depends on the event.
    Made(MakeRule<E>),
}

impl<E> Rule<E> {
    fn of(&self, event: &Recorded<E>, columns: &[DeclaredColumn]) -> Result<RowRule, ApplyError> {
        let make = match self {
            Self::Fixed(rule) => return Ok(rule.clone()),
            Self::Made(make) => make,
        };
        let rule = make(event, RowRule::default());
        let faults: Vec<String> = rule.faults(columns).collect();
        if faults.is_empty() { Ok(rule) } else { Err(ApplyError::msg(faults.join("; "))) }
    }
}

#[derive(Clone, Debug)]
struct DeclaredColumn {
    name: SmolStr,
    kind: ColumnKind,
    nullable: bool,
    default: Option<Value>,
}

impl<E: DomainEvent> Projected<FlatTable<E>> {
    /// Declares a column that every row must fill.
    pub fn column(self, name: impl Into<SmolStr>, kind: ColumnKind) -> Self {
        self.declare(name, kind, false, None)
    }

    /// Declares a column that holds `default` in a new row, unless the event sets it.
    pub fn column_or(self, name: impl Into<SmolStr>, kind: ColumnKind, default: impl Into<Value>) -> Self {
        self.declare(name, kind, false, Some(default.into()))
    }

    /// Declares a column that may hold null, and does in a new row, unless the event sets it.
    pub fn nullable(self, name: impl Into<SmolStr>, kind: ColumnKind) -> Self {
        self.declare(name, kind, true, None)
    }

    /// Which row or rows an event changes, by id. Default: the one of its stream.
    pub fn keyed_by<I, F>(mut self, ids: F) -> Self
    where
        I: ViewIds,
        F: Fn(&Recorded<E>) -> I + Send + Sync + 'static,
    {
        self.kind.key = Box::new(move |event, take| ids(event).each(take));
        self.kind.is_per_stream = false;
        self
    }

    /// What events of a type do to their row. Events of types without a rule are passed.
    pub fn on(mut self, type_name: impl Into<SmolStr>, rule: impl FnOnce(RowRule) -> RowRule) -> Self {
        self.kind.rules.insert(type_name.into(), Rule::Fixed(rule(RowRule::default())));
        self
    }

    /// The same where it depends on the event what is to be done: `rule` is called for each.
    pub fn on_event<F>(mut self, type_name: impl Into<SmolStr>, rule: F) -> Self
    where
        F: Fn(&Recorded<E>, RowRule) -> RowRule + Send + Sync + 'static,
    {
        self.kind.rules.insert(type_name.into(), Rule::Made(Box::new(rule)));
        self
    }

    fn declare(
        mut self,
        name: impl Into<SmolStr>,
        kind: ColumnKind,
        nullable: bool,
        default: Option<Value>,
    ) -> Self {
        self.kind.columns.push(DeclaredColumn { name: name.into(), kind, nullable, default });
        self
    }
}

impl<E> fmt::Debug for FlatTable<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlatTable").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<E: DomainEvent> Kind for FlatTable<E> {
    const NAME: &'static str = "flat table";
    const LIFECYCLES: &'static [Lifecycle] = &[Lifecycle::Inline, Lifecycle::Async];

    fn types(&self) -> EventTypes {
        EventTypes::of::<E>()
    }

    fn view_type(&self) -> Option<ViewType> {
        None
    }

    fn layout(&self, faults: &mut Vec<String>) -> Layout {
        let mut columns = Vec::with_capacity(self.columns.len());
        let name = SqlName::new(self.table.clone()).map_err(|e| faults.push(e.to_string())).ok();
        for column in &self.columns {
            let twice = self.columns.iter().filter(|other| other.name == column.name).count() > 1;
            if twice || ["tenant", "id", "version", "seq"].contains(&column.name.as_str()) {
                faults.push(format!(
                    "column \"{}\" is declared twice, or is one that every table has",
                    column.name
                ));
            }
            if let Some(default) = &column.default
                && let Err(error) = checked(column, &rule::json(default))
            {
                faults.push(format!("the default of {error}"));
            }
            match SqlName::new(column.name.clone()) {
                Ok(name) => columns.push(Column { name, kind: column.kind, nullable: column.nullable }),
                Err(error) => faults.push(error.to_string()),
            }
        }
        for (type_name, rule) in &self.rules {
            faults.extend(EventTypes::of::<E>().fault(type_name).map(|fault| format!("a rule: {fault}")));
            if let Rule::Fixed(rule) = rule {
                faults.extend(rule.faults(&self.columns).map(|fault| format!("on \"{type_name}\": {fault}")));
            }
        }
        if self.columns.is_empty() {
            faults.push("it declares no columns".into());
        }
        name.map_or(Layout::Document, |name| Layout::Columns(Arc::new(Columns { name, columns })))
    }

    fn is_per_stream(&self) -> bool {
        self.is_per_stream
    }

    fn plan(&self, input: PlanInput) -> Result<Arc<dyn Plan>, Failures> {
        let page = &input.page.events;
        let mut views = Groups::new(page.len(), input.scope.clone());
        let mut changes = Vec::with_capacity(page.len());
        let sees_changes = E::TYPES.iter().any(|name| is_change(name));
        let mut failed = Gathered::default();
        for (at, raw) in page.iter().enumerate() {
            if raw.type_name.as_str() == crate::ports::ARCHIVED {
                views.add(&raw.tenant, &raw.stream, false, raw.seq, changes.len());
                changes.push((at, Change { rule: RowRule::default().delete(), fields: Fields::none() }));
                continue;
            }
            let Some((ids, change)) = failed.keep(self.change(raw)).flatten() else { continue };
            for id in ids {
                let fresh = self.is_per_stream && raw.version == Version::FIRST && !sees_changes;
                views.add(&raw.tenant, &id, fresh, raw.seq, changes.len());
            }
            changes.push((at, change));
        }
        failed.unless_failed(())?;
        Ok(Arc::new(RowPlan { input, views, changes, columns: self.columns.clone() }))
    }
}

impl<E: DomainEvent> FlatTable<E> {
    /// Which rows an event changes, and how; `None` when there is no rule for it.
    fn change(&self, raw: &Event) -> Result<Option<(Vec<ViewId>, Change)>, Failure> {
        let event = decode::<E>(raw, None)?;
        let Some(rule) = self.rules.get(event.data().type_name()) else { return Ok(None) };
        let mut ids: Vec<ViewId> = Vec::new();
        user_code(raw, || {
            (self.key)(&event, &mut |id| {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            })
            .map_err(ApplyError::from)
        })?;
        let fields = Fields::of(&event).map_err(|e| Failure::serialization(raw, e))?;
        let rule = user_code(raw, || rule.of(&event, &self.columns))?;
        Ok(Some((ids, Change { rule, fields })))
    }
}

struct Change {
    rule: RowRule,
    fields: Fields,
}

struct RowPlan {
    input: PlanInput,
    views: Groups<usize>,
    changes: Vec<(usize, Change)>,
    columns: Vec<DeclaredColumn>,
}

impl Plan for RowPlan {
    fn views(&self) -> &[PlannedView] {
        self.views.views()
    }

    fn withheld(&self) -> &[(ViewKey, Seq)] {
        self.views.withheld()
    }

    fn fold(&self, range: Range<usize>, current: &[Option<StoredView>]) -> Result<Output, Failures> {
        fold_views(self.views(), range, current, |index, current, left_out, output| {
            output.operations.extend(self.fold_row(index, current, left_out)?);
            Ok(())
        })
    }
}

impl RowPlan {
    fn fold_row(
        &self,
        index: usize,
        current: Option<&StoredView>,
        left_out: &[Seq],
    ) -> Result<Option<Operation>, Failure> {
        let event = |change: usize| &self.input.page.events[self.changes[change].0];
        let is_in = |change: &&usize| !left_out.contains(&event(**change).seq);
        let members: Vec<usize> = self.views.members(index).iter().filter(is_in).copied().collect();
        let (Some(first), Some(last)) = (members.first(), members.last()) else { return Ok(None) };
        let row = current.map(|view| view.body.decode::<Map<String, Json>>()).transpose();
        let mut row = row.map_err(|e| Failure::serialization(event(*first), e))?;
        for change in &members {
            row = user_code(event(*change), || self.apply(row, &self.changes[*change].1))?;
        }
        let (table, key) = (self.input.table.clone(), self.views()[index].key.clone());
        let last: &Event = event(*last);
        match row {
            Some(row) => {
                let body = Body::encode(&row).map_err(|e| Failure::serialization(last, e))?;
                let version = current.map_or(Version::ZERO, |view| view.version).plus(members.len());
                Ok(Some(Operation::Store { table, key, view: StoredView { body, version, seq: last.seq } }))
            }
            None => Ok(current.is_some().then_some(Operation::Delete { table, key })),
        }
    }

    fn apply(
        &self,
        row: Option<Map<String, Json>>,
        change: &Change,
    ) -> Result<Option<Map<String, Json>>, ApplyError> {
        if change.rule.deletes() {
            return Ok(None);
        }
        let was_there = row.is_some();
        let mut row = row.unwrap_or_else(|| self.fresh());
        change.rule.apply(&mut row, &self.columns, &change.fields)?;
        let complete =
            self.columns.iter().all(|c| c.nullable || row.get(c.name.as_str()).is_some_and(|v| !v.is_null()));
        match (complete, was_there) {
            (true, _) => Ok(Some(row)),
            (false, false) => Ok(None),
            (false, true) => {
                let empty = self
                    .columns
                    .iter()
                    .find(|c| !c.nullable && row.get(c.name.as_str()).is_none_or(Json::is_null));
                let name = empty.map_or("", |column| column.name.as_str());
                Err(ApplyError::msg(format!("column \"{name}\" would hold null, which it must not")))
            }
        }
    }

    /// A row with nothing but defaults.
    fn fresh(&self) -> Map<String, Json> {
        let value = |column: &DeclaredColumn| {
            let default = column.default.as_ref().map(rule::json);
            default.and_then(|value| checked(column, &value).ok()).unwrap_or(Json::Null)
        };
        self.columns.iter().map(|column| (column.name.to_string(), value(column))).collect()
    }
}
