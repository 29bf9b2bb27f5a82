use std::{collections::HashMap, iter};

use ermine_core::{
    AppendBatch, Appended, Error, ErrorKind, Event, EventId, NewEvent, Operation, Position, Result, Seq,
    StreamAppend, StreamId, StreamType, TenantId, Timestamp, Version, VersionConflict, ViewConflict, ViewPin,
};

use super::{
    Data, Row, State, Turn, TxId,
    operations::rows_of_operation,
    staged::{Staged, StagedEvent},
};

impl State {
    /// Draws numbers for a batch and keeps its changes until the transaction ends; on an error nothing has changed.
    pub(crate) fn stage(&mut self, tx: TxId, batch: &AppendBatch) -> Turn<Result<Appended>> {
        let rows: Vec<Row> = rows_of_append(&self.data, batch).collect();
        if self.is_blocked(tx, rows.iter().cloned()) {
            return Turn::Blocked;
        }
        Turn::Done(self.try_stage(tx, batch).and_then(|appended| {
            if !appended.repeated {
                self.hold(tx, rows.into_iter())?;
            }
            Ok(appended)
        }))
    }

    /// Both at once: nobody sees the transaction open.
    pub(crate) fn stage_and_commit(&mut self, tx: TxId, batch: &AppendBatch) -> Turn<Result<Appended>> {
        if self.is_blocked(tx, rows_of_append(&self.data, batch)) {
            return Turn::Blocked;
        }
        Turn::Done(self.try_stage(tx, batch).and_then(|appended| self.commit(tx).map(|()| appended)))
    }

    fn try_stage(&mut self, tx: TxId, batch: &AppendBatch) -> Result<Appended> {
        batch.check()?;
        let staged = &self.transaction(tx)?.staged;
        if let Some(first_time) = self.data.look_for_ids(staged, batch)? {
            return Ok(first_time);
        }
        let versions = |append| self.data.check_version(staged, append);
        let before = batch.streams().iter().map(versions).collect::<Result<Vec<_>>>()?;
        batch.pins().iter().try_for_each(|pin| self.data.check_pin(staged, pin))?;
        // Operations come before the numbers: they may be refused.
        self.change(tx, |data, staged, _| {
            batch.operations().iter().try_for_each(|operation| match operation {
                Operation::Append { .. } | Operation::Publish(_) => {
                    Err(Error::configuration("an append cannot append or publish by its operations"))
                }
                _ => data.operate(staged, operation),
            })
        })?;
        self.announce(tx)?;
        self.change(tx, |data, staged, since| {
            let mut last = data.last;
            for (append, before) in batch.streams().iter().zip(&before) {
                let of = (&append.tenant, &append.stream);
                for (nth, new) in append.events.iter().enumerate() {
                    let stream_type = append.stream_type.clone();
                    last = data.draw(staged, of, stream_type, before.plus(nth + 1), since, new);
                }
            }
            let versions = batch.streams().iter().zip(&before).map(|(s, b)| b.plus(s.events.len())).collect();
            Ok(Appended { position: Position::new(last), versions, recorded_at: since, repeated: false })
        })
    }
}

impl Data {
    /// Draws the next number for an event that stays invisible until its transaction ends.
    pub(super) fn draw(
        &mut self,
        staged: &mut Staged,
        (tenant, stream): (&TenantId, &StreamId),
        stream_type: Option<StreamType>,
        version: Version,
        recorded_at: Timestamp,
        new: &NewEvent,
    ) -> Seq {
        self.last = self.last.next();
        let event = Event {
            seq: self.last,
            id: new.id(),
            tenant: tenant.clone(),
            stream: stream.clone(),
            version,
            type_name: new.type_name().clone(),
            body: new.body().clone(),
            recorded_at,
            metadata: new.metadata().cloned().map(Box::new),
        };
        staged.events.push(StagedEvent { event, stream_type, archives: false });
        self.last
    }

    /// Whether an event of this id is recorded, as a transaction sees it that has staged this.
    pub(super) fn is_recorded(&self, staged: &Staged, id: EventId) -> bool {
        self.ids.contains_key(&id) || staged.events.iter().any(|mine| mine.event.id == id)
    }

    /// The answer of the first time, where the whole batch is recorded already.
    fn look_for_ids(&self, staged: &Staged, batch: &AppendBatch) -> Result<Option<Appended>> {
        let mine: HashMap<EventId, &Event> = staged.events.iter().map(|e| (e.event.id, &e.event)).collect();
        let find = |new: &NewEvent| {
            let recorded = self.ids.get(&new.id()).and_then(|seq| self.events.get(seq));
            recorded.or_else(|| mine.get(&new.id()).copied())
        };
        let events = || batch.streams().iter().flat_map(|s| s.events.iter().map(move |new| (s, new)));
        let known: Vec<EventId> =
            events().filter(|(_, new)| find(new).is_some()).map(|(_, new)| new.id()).collect();
        let elsewhere =
            events().find(|(s, new)| find(new).is_some_and(|e| e.stream != s.stream || e.tenant != s.tenant));
        match (known.first(), elsewhere) {
            (None, _) => return Ok(None),
            (Some(id), _) if !batch.is_idempotent() => return Err(duplicate(*id)),
            (_, Some((_, new))) => return Err(duplicate(new.id())),
            _ if known.len() < batch.len() => return Err(partly_known(known)),
            _ => {}
        }
        let recorded: Vec<&Event> = events().filter_map(|(_, new)| find(new)).collect();
        let Some(last) = recorded.iter().max_by_key(|event| event.seq) else { return Ok(None) };
        let version = |append: &StreamAppend| {
            let versions = append.events.iter().filter_map(find).map(|event| event.version);
            versions.max().unwrap_or_default()
        };
        Ok(Some(Appended {
            position: Position::new(last.seq),
            versions: batch.streams().iter().map(version).collect(),
            recorded_at: last.recorded_at,
            repeated: true,
        }))
    }

    /// The stream's version as this transaction sees it, if the append may go on from there.
    fn check_version(&self, staged: &Staged, append: &StreamAppend) -> Result<Version> {
        let actual = self.version(staged, &append.tenant, &append.stream)?;
        if append.expected.admits(actual) {
            return Ok(actual);
        }
        Err(Error::conflict(VersionConflict {
            tenant: append.tenant.clone(),
            stream: append.stream.clone(),
            expected: append.expected,
            actual,
        }))
    }

    fn check_pin(&self, staged: &Staged, pin: &ViewPin) -> Result<()> {
        let view = self.view(staged, &pin.table, &pin.key);
        let actual = view.map(|view| view.version);
        let is_same = pin.body.as_ref().is_none_or(|body| view.is_some_and(|view| view.body == *body));
        if actual == pin.version && is_same {
            return Ok(());
        }
        Err(Error::view_conflict(ViewConflict {
            table: pin.table.clone(),
            key: pin.key.clone(),
            expected: pin.version,
            actual,
        }))
    }
}

fn rows_of_append<'b>(data: &'b Data, batch: &'b AppendBatch) -> impl Iterator<Item = Row> + 'b {
    let streams = batch.streams().iter().flat_map(|append| rows_of_events(append.into(), &append.events));
    let pins = batch.pins().iter().map(|pin| Row::View(pin.table.clone(), pin.key.clone()));
    let operations = batch.operations().iter().flat_map(|operation| rows_of_operation(data, operation));
    streams.chain(pins).chain(operations)
}

/// The rows of events that go to one stream.
pub(super) fn rows_of_events(stream: Row, events: &[NewEvent]) -> impl Iterator<Item = Row> + '_ {
    iter::once(stream).chain(events.iter().map(|event| Row::Event(event.id())))
}

impl From<&StreamAppend> for Row {
    fn from(append: &StreamAppend) -> Self {
        Self::Stream(append.tenant.clone(), append.stream.clone())
    }
}

fn duplicate(id: EventId) -> Error {
    let doing = format!("event id {id} is recorded already: every event needs an id of its own");
    Error::new(ErrorKind::DuplicateEvent { id: Some(id) }, doing)
}

fn partly_known(known: Vec<EventId>) -> Error {
    let ids: Vec<String> = known.iter().map(ToString::to_string).collect();
    let doing =
        format!("only some events of this idempotent append are recorded already: {}", ids.join(", "));
    Error::new(ErrorKind::PartlyKnown { known }, doing)
}
