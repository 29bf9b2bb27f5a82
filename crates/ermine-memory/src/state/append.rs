use std::{collections::HashMap, sync::Weak};

use ermine_core::{
    AppendBatch, Appended, Error, ErrorKind, Event, EventId, NewEvent, Position, Result, Seq, StreamAppend,
    Version, VersionConflict,
};

use super::{Row, State, Turn, TxId, Undo};

impl State {
    /// Takes the floor, if this is the first time, without drawing a number.
    pub(crate) fn announce(&mut self, tx: TxId) -> Result<()> {
        let last = self.last;
        if self.transaction(tx)?.floor.is_some() {
            return Ok(());
        }
        // The bells are looked at after the floor is there to be seen: an observer either sees the floor or is rung for.
        let rings = self.bells.iter().filter_map(Weak::upgrade).filter(|bell| bell.is_armed()).collect();
        let transaction = self.transaction_mut(tx)?;
        transaction.floor = Some(last);
        transaction.rings = rings;
        Ok(())
    }

    /// Draws numbers for a batch and keeps its events until the transaction ends; on an error nothing has changed.
    pub(crate) fn stage(&mut self, tx: TxId, batch: &AppendBatch) -> Turn<Result<Appended>> {
        let rows: Vec<Row> = batch.streams().iter().flat_map(rows_of).collect();
        if self.is_blocked(tx, rows.iter()) {
            return Turn::Blocked;
        }
        Turn::Done(self.try_stage(tx, batch, rows))
    }

    /// Both at once: nobody sees the transaction open.
    pub(crate) fn stage_and_commit(&mut self, tx: TxId, batch: &AppendBatch) -> Turn<Result<Appended>> {
        match self.stage(tx, batch) {
            Turn::Done(Ok(appended)) => Turn::Done(self.commit_append(tx).map(|()| appended)),
            turn => turn,
        }
    }

    fn try_stage(&mut self, tx: TxId, batch: &AppendBatch, rows: Vec<Row>) -> Result<Appended> {
        batch.check()?;
        if let Some(first_time) = self.look_for_ids(tx, batch)? {
            return Ok(first_time);
        }
        let before = batch.streams().iter().map(|s| self.check_version(tx, s)).collect::<Result<Vec<_>>>()?;
        self.announce(tx)?;
        self.hold(tx, rows)?;
        let mut last = self.last;
        let transaction = self.transaction_mut(tx)?;
        for (append, before) in batch.streams().iter().zip(&before) {
            for (nth, new) in append.events.iter().enumerate() {
                last = last.next();
                transaction.staged.push(Event {
                    seq: last,
                    id: new.id(),
                    tenant: append.tenant.clone(),
                    stream: append.stream.clone(),
                    version: before.plus(nth + 1),
                    type_name: new.type_name().clone(),
                    body: new.body().clone(),
                    recorded_at: transaction.since,
                    metadata: new.metadata().cloned().map(Box::new),
                });
            }
        }
        let recorded_at = transaction.since;
        self.last = last;
        let versions = batch.streams().iter().zip(before).map(|(s, b)| b.plus(s.events.len())).collect();
        Ok(Appended { position: Position::new(last), versions, recorded_at, repeated: false })
    }

    /// The answer of the first time, where the whole batch is recorded already.
    fn look_for_ids(&self, tx: TxId, batch: &AppendBatch) -> Result<Option<Appended>> {
        let mine: HashMap<EventId, &Event> = self.transaction(tx)?.staged.iter().map(|e| (e.id, e)).collect();
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
    fn check_version(&self, tx: TxId, append: &StreamAppend) -> Result<Version> {
        let key = (append.tenant.clone(), append.stream.clone());
        let recorded = self.streams.get(&key).map_or(0, Vec::len);
        let staged = &self.transaction(tx)?.staged;
        let staged = staged.iter().filter(|e| e.stream == append.stream && e.tenant == append.tenant).count();
        let actual = Version::ZERO.plus(recorded + staged);
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

    /// Makes what a transaction has staged visible, and rings for it.
    pub(crate) fn commit_append(&mut self, tx: TxId) -> Result<()> {
        let transaction = self.end(tx)?;
        if transaction.staged.is_empty() {
            return Ok(());
        }
        let seqs = transaction.staged.iter().map(|event| event.seq).collect();
        for event in transaction.staged {
            self.ids.insert(event.id, event.seq);
            self.streams.entry((event.tenant.clone(), event.stream.clone())).or_default().push(event.seq);
            self.events.insert(event.seq, event);
        }
        self.history.push(Undo::Append(seqs), self.last);
        transaction.rings.iter().for_each(|bell| bell.ring());
        Ok(())
    }

    pub(super) fn unpublish(&mut self, seq: Seq) {
        let Some(event) = self.events.remove(&seq) else { return };
        self.ids.remove(&event.id);
        let key = (event.tenant, event.stream);
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.pop();
            if stream.is_empty() {
                self.streams.remove(&key);
            }
        }
    }
}

fn rows_of(append: &StreamAppend) -> impl Iterator<Item = Row> + '_ {
    let stream = Row::Stream(append.tenant.clone(), append.stream.clone());
    std::iter::once(stream).chain(append.events.iter().map(|event| Row::Event(event.id())))
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
