use std::collections::{BTreeMap, HashMap};

use ermine_core::{EffectId, Message};

use super::{State, Undo};

/// The outbox: what is to be sent, and what has ever been.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// In the order of commits.
    pending: BTreeMap<u64, Message>,
    /// The place of every message there has ever been.
    places: HashMap<EffectId, u64>,
    last: u64,
}

impl Messages {
    pub(super) fn knows(&self, id: EffectId) -> bool {
        self.places.contains_key(&id)
    }

    /// Puts a message that is not known at the end.
    pub(super) fn publish(&mut self, message: Message) -> EffectId {
        let id = message.id;
        self.last += 1;
        self.places.insert(id, self.last);
        self.pending.insert(self.last, message);
        id
    }

    /// Takes a publication back.
    pub(super) fn withdraw(&mut self, id: EffectId) {
        if let Some(place) = self.places.remove(&id) {
            self.pending.remove(&place);
        }
    }

    /// Takes a settlement back.
    pub(super) fn unsettle(&mut self, messages: Vec<(u64, Message)>) {
        self.pending.extend(messages);
    }

    fn settle(&mut self, id: EffectId) -> Option<(u64, Message)> {
        let place = *self.places.get(&id)?;
        Some((place, self.pending.remove(&place)?))
    }
}

impl State {
    pub(crate) fn pending_messages(&self, limit: usize) -> Vec<Message> {
        self.data.messages.pending.values().take(limit).cloned().collect()
    }

    pub(crate) fn settle_messages(&mut self, ids: &[EffectId]) {
        let settled: Vec<_> = ids.iter().filter_map(|id| self.data.messages.settle(*id)).collect();
        if !settled.is_empty() {
            self.history.push(Undo::Settled(settled), self.data.last);
        }
    }
}
