use ermine_core::{
    Appended, Body, Error, ErrorKind, NewEvent, Position, Result, Seq, SmolStr, StreamHeads, StreamId,
    StreamType, TenantId, Version, ports::archived_type,
};

use super::{Data, Row, State, Turn, TxId, Undo, staged::Staged};

/// One stream: its events by version, and what is known of it.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) seqs: Vec<Seq>,
    pub(super) stream_type: Option<StreamType>,
    /// The event that has ended it.
    pub(super) archived: Option<Seq>,
}

impl Data {
    pub(super) fn stream(&self, tenant: &TenantId, stream: &StreamId) -> Option<&Stream> {
        self.streams.get(&(tenant.clone(), stream.clone()))
    }

    /// The version of a stream as a transaction sees it that has staged this; an error when the stream has ended.
    pub(super) fn version(&self, staged: &Staged, tenant: &TenantId, stream: &StreamId) -> Result<Version> {
        let stored = self.stream(tenant, stream);
        let mine = staged.events.iter().filter(|e| e.event.stream == *stream && e.event.tenant == *tenant);
        let (count, archived) =
            mine.fold((0, false), |(count, archived), event| (count + 1, archived || event.archives));
        if archived || stored.is_some_and(|stored| stored.archived.is_some()) {
            return Err(Error::archived(stream.clone()));
        }
        Ok(Version::ZERO.plus(stored.map_or(0, |stored| stored.seqs.len()) + count))
    }
}

impl State {
    pub(crate) fn read_heads(&self, streams: &[(TenantId, StreamId)]) -> StreamHeads {
        let version = |(tenant, stream): &(TenantId, StreamId)| {
            let stored = self.data.stream(tenant, stream);
            Version::ZERO.plus(stored.map_or(0, |stored| stored.seqs.len()))
        };
        StreamHeads { versions: streams.iter().map(version).collect(), at: self.clock.now() }
    }

    pub(crate) fn archive_stream(
        &mut self,
        tx: TxId,
        tenant: &TenantId,
        stream: &StreamId,
    ) -> Turn<Result<Appended>> {
        if self.is_blocked(tx, std::iter::once(Row::Stream(tenant.clone(), stream.clone()))) {
            return Turn::Blocked;
        }
        Turn::Done(self.archive_now(tx, tenant, stream))
    }

    fn archive_now(&mut self, tx: TxId, tenant: &TenantId, stream: &StreamId) -> Result<Appended> {
        let Some(stored) = self.data.stream(tenant, stream) else {
            let doing = format!("stream \"{stream}\" has no events: there is nothing to archive");
            return Err(Error::new(ErrorKind::NotFound, doing));
        };
        if let Some(event) = stored.archived.and_then(|seq| self.data.events.get(&seq)) {
            return Ok(Appended {
                position: Position::new(event.seq),
                versions: vec![event.version],
                recorded_at: event.recorded_at,
                repeated: true,
            });
        }
        self.announce(tx)?;
        let appended = self.change(tx, |data, staged, since| {
            let version = data.version(staged, tenant, stream)?.plus(1);
            let last = NewEvent::new(archived_type(), Body::from_json("{}")?);
            let position = Position::new(data.draw(staged, (tenant, stream), None, version, since, &last));
            staged.events.iter_mut().for_each(|event| event.archives = true);
            Ok(Appended { position, versions: vec![version], recorded_at: since, repeated: false })
        })?;
        self.commit(tx).map(|()| appended)
    }

    /// Marks the events that are there and not marked yet.
    pub(crate) fn skip_events(&mut self, events: &[Seq], reason: &str) -> u64 {
        let mut marked = Vec::new();
        for seq in events {
            if self.data.events.contains_key(seq) && !self.data.skipped.contains_key(seq) {
                self.data.skipped.insert(*seq, SmolStr::new(reason));
                marked.push(*seq);
            }
        }
        let count = marked.len() as u64;
        if count > 0 {
            self.history.push(Undo::Skipped(marked), self.data.last);
        }
        count
    }
}
