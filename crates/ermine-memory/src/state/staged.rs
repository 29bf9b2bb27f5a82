use ermine_core::{EffectId, Event, Message, Progress, Seq, StoredView, StreamType, ViewKey, ViewTable};

use super::{Data, history::Committed, letters::LetterChange, streams::Stream};

/// What a transaction has done and nobody else sees yet.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) events: Vec<StagedEvent>,
    pub(super) views: Vec<Change>,
    pub(super) messages: Vec<Message>,
    pub(super) letters: Vec<LetterChange>,
    pub(super) progress: Vec<Progress>,
}

#[derive(Debug)]
pub(super) struct StagedEvent {
    pub(super) event: Event,
    /// What the stream becomes if this is its first event.
    pub(super) stream_type: Option<StreamType>,
    /// Whether it is the stream's last.
    pub(super) archives: bool,
}

/// One view and what it is afterwards; `None` when it is gone.
pub(super) type Change = (ViewTable, ViewKey, Option<StoredView>);

impl Staged {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == [0; 5]
    }

    /// How much there is of each.
    pub(super) fn len(&self) -> [usize; 5] {
        [self.events.len(), self.views.len(), self.messages.len(), self.letters.len(), self.progress.len()]
    }

    /// Forgets what came after `len`.
    pub(super) fn truncate(&mut self, len: [usize; 5]) {
        let [events, views, messages, letters, progress] = len;
        self.events.truncate(events);
        self.views.truncate(views);
        self.messages.truncate(messages);
        self.letters.truncate(letters);
        self.progress.truncate(progress);
    }
}

impl Data {
    /// Makes it visible; answers with what takes it back.
    pub(super) fn publish(&mut self, staged: Staged) -> Committed {
        let events = staged.events.into_iter().map(|event| self.publish_event(event)).collect();
        let mut views = Vec::with_capacity(staged.views.len());
        for (table, key, view) in staged.views {
            let before = self.put_view(&table, &key, view);
            views.push((table, key, before));
        }
        let mut progress = Vec::with_capacity(staged.progress.len());
        for moved in staged.progress {
            let shard = moved.shard.clone();
            let before = self.progress.insert(shard.clone(), moved);
            progress.push((shard, before));
        }
        let messages: Vec<EffectId> =
            staged.messages.into_iter().map(|message| self.messages.publish(message)).collect();
        let letters = staged.letters.into_iter().map(|change| self.letters.apply(change)).collect();
        Committed { events, views, messages, letters, progress }
    }

    fn publish_event(&mut self, staged: StagedEvent) -> Seq {
        let StagedEvent { event, stream_type, archives } = staged;
        let seq = event.seq;
        let stream = self
            .streams
            .entry((event.tenant.clone(), event.stream.clone()))
            .or_insert_with(|| Stream { stream_type, ..Stream::default() });
        stream.seqs.push(seq);
        if archives {
            stream.archived = Some(seq);
        }
        self.ids.insert(event.id, seq);
        self.events.insert(seq, event);
        seq
    }

    /// Takes a commit back, the last one first.
    pub(super) fn take_back(&mut self, commit: Committed) {
        self.take_back_letters(commit.letters);
        for id in commit.messages {
            self.messages.withdraw(id);
        }
        for (shard, before) in commit.progress.into_iter().rev() {
            match before {
                Some(before) => self.progress.insert(shard, before),
                None => self.progress.remove(&shard),
            };
        }
        for (table, key, before) in commit.views.into_iter().rev() {
            self.put_view(&table, &key, before);
        }
        for seq in commit.events.into_iter().rev() {
            self.withdraw_event(seq);
        }
    }

    pub(super) fn take_back_letters(&mut self, changes: Vec<LetterChange>) {
        for change in changes.into_iter().rev() {
            self.letters.apply(change);
        }
    }

    fn withdraw_event(&mut self, seq: Seq) {
        let Some(event) = self.events.remove(&seq) else { return };
        self.ids.remove(&event.id);
        let key = (event.tenant, event.stream);
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.seqs.pop();
            stream.archived.take_if(|archived| *archived == seq);
            if stream.seqs.is_empty() {
                self.streams.remove(&key);
            }
        }
    }

    /// Puts a view, or removes it; answers with what was there.
    pub(super) fn put_view(
        &mut self,
        table: &ViewTable,
        key: &ViewKey,
        view: Option<StoredView>,
    ) -> Option<StoredView> {
        let tenants = self.views.entry(table.clone()).or_default();
        let views = tenants.entry(key.tenant.clone()).or_default();
        match view {
            Some(view) => views.insert(key.id.clone(), view),
            None => views.remove(&key.id),
        }
    }
}
