use std::{panic::AssertUnwindSafe, sync::Arc};

use ermine_core::{
    ApplyError, Epoch, EventPage, EventRange, Failure, Failures, Incarnation, Operation, Seq, ShardBatch,
    Subscription, ViewKey, ports::Store,
};
use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};

use super::{
    Shard,
    budget::Share,
    busy::Busy,
    load::Loaded,
    setback::Setback,
    stages::{Changed, Stages, Unfolded},
    triage::{Case, Stop, Triage},
};
use crate::{Settings, registry::Work};

/// A folded page, ready to be committed.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) number: u64,
    pub(super) batch: ShardBatch,
    /// What the page is about, should the store refuse it.
    pub(super) suspects: Suspects,
    pub(super) share: Option<Share>,
}

/// Who may be to blame for a batch that the store refuses.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    /// How many events have been folded.
    pub(super) events: usize,
    /// The first of them.
    pub(super) first: Seq,
    /// The view that changes, where it is one alone and views are folded each on its own.
    pub(super) view: Option<ViewKey>,
}

/// The second stage: makes a batch of a page.
pub(super) struct Folder {
    pub(super) shard: Arc<Shard>,
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Arc<Settings>,
    pub(super) epoch: Epoch,
    pub(super) incarnation: Incarnation,
    /// The number of the last page whose commit has been answered.
    pub(super) committed: watch::Receiver<u64>,
    /// Events above this number may have effects; `None` means that none may.
    pub(super) effects_above: Option<Seq>,
    pub(super) triage: Triage,
    pub(super) busy: Arc<Busy>,
}

/// What is done with each page.
enum Handling {
    Fold(Box<Stages>),
    Deliver(Arc<dyn Subscription>),
}

impl Folder {
    pub(super) async fn run(
        mut self,
        mut pages: mpsc::Receiver<Loaded>,
        batches: mpsc::Sender<Folded>,
    ) -> Result<(), Setback> {
        let mut handling = match &self.shard.work {
            Work::Subscription(subscription) => Handling::Deliver(subscription.clone()),
            Work::Stages(members) => Handling::Fold(Box::new(Stages::new(
                self.shard.clone(),
                self.store.clone(),
                self.settings.clone(),
                self.effects_above,
                members,
                self.busy.clone(),
            ))),
        };
        let mut number = 0;
        // Nothing is read from the store for a later page before this page is committed.
        let mut barrier = None;
        while let Some(Loaded { page, share }) = pages.recv().await {
            number += 1;
            if let Some(page) = barrier.take() {
                if self.committed.wait_for(|committed| *committed >= page).await.is_err() {
                    break;
                }
                if let Handling::Fold(stages) = &mut handling {
                    stages.forget();
                }
            }
            let mut page = Arc::new(page);
            let mut share = Some(share);
            let mut setback = None;
            loop {
                match self.fold(&mut handling, &page, number).await {
                    Ok((folded, is_opaque)) => {
                        barrier = is_opaque.then_some(number);
                        let share = share.take();
                        if batches.send(Folded { share, ..folded }).await.is_err() {
                            return Ok(());
                        }
                        break;
                    }
                    Err(Stop { at, setback: stopped }) => {
                        setback = Some(stopped);
                        // What is before the event goes through, so that the shard stands exactly there.
                        let floor = page.range.floor();
                        let Some(before) = at.and_then(|at| EventRange::new(floor, at.previous())) else {
                            break;
                        };
                        page = Arc::new(cut(&page, before));
                    }
                }
            }
            if let Some(setback) = setback {
                return Err(setback);
            }
        }
        Ok(())
    }

    async fn fold(
        &mut self,
        handling: &mut Handling,
        page: &Arc<EventPage>,
        number: u64,
    ) -> Result<(Folded, bool), Stop> {
        if let Handling::Fold(stages) = handling {
            stages.commit(*self.committed.borrow());
        }
        let is_composite = matches!(handling, Handling::Fold(stages) if stages.is_composite());
        let mut case = self.triage.open(page, is_composite).await?;
        loop {
            let left = case.page();
            let changed = match handling {
                _ if left.events.is_empty() => Ok(Changed::default()),
                Handling::Fold(stages) => {
                    let _working = self.busy.work();
                    stages.fold(&left, number, &case.scope()).await
                }
                Handling::Deliver(subscription) => {
                    let _working = self.busy.work();
                    deliver(&**subscription, left.clone()).await
                }
            };
            match changed {
                Ok(Changed { operations, is_opaque, withheld, only_view }) => {
                    if let Err(stop) = self.triage.close(&mut case, withheld).await {
                        if let Handling::Fold(stages) = handling {
                            stages.undo(number);
                        }
                        return Err(stop);
                    }
                    let suspects = Suspects {
                        events: left.events.len(),
                        first: left.events.first().map(|event| event.seq).unwrap_or_default(),
                        view: only_view,
                    };
                    let batch = self.batch(page.range, operations, case);
                    return Ok((Folded { number, batch, suspects, share: None }, is_opaque));
                }
                Err(Unfolded::Refused(failures)) => self.triage.refuse(failures, &mut case, is_composite)?,
                Err(Unfolded::Failed(error)) => return Err(error.into()),
            }
        }
    }

    fn batch(&self, range: EventRange, operations: Vec<Operation>, case: Case) -> ShardBatch {
        let shard = self.shard.name.clone();
        ShardBatch {
            operations,
            unknown_events: case.unknown_events,
            skipped_events: case.skipped_events,
            members: self.shard.members.clone(),
            letters: case.letters,
            ..ShardBatch::new(shard, self.epoch, self.incarnation, range.floor(), range.ceiling())
        }
    }
}

/// Hands a page to a subscription. A panic in it is a refusal of some event of the page.
pub(super) async fn deliver(
    subscription: &dyn Subscription,
    page: Arc<EventPage>,
) -> Result<Changed, Unfolded> {
    let received = AssertUnwindSafe(subscription.receive(page.clone())).catch_unwind().await;
    let operations = match (received, page.events.first()) {
        (Ok(received), _) => received?,
        (Err(panic), Some(first)) => {
            let error = ApplyError::msg(format!("it panicked: {}", said(&*panic)));
            return Err(Failures::from(Failure::apply(first, error).of_page()).into());
        }
        (Err(_), None) => Vec::new(),
    };
    Ok(Changed { operations, is_opaque: true, ..Changed::default() })
}

fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// The part of a page that lies in `range`, which begins where the page does.
fn cut(page: &EventPage, range: EventRange) -> EventPage {
    let ceiling = range.ceiling();
    EventPage {
        range,
        events: page.events.iter().filter(|event| event.seq <= ceiling).cloned().collect(),
        unknown: page.unknown.iter().filter(|event| event.seq <= ceiling).cloned().collect(),
        skipped: page.skipped.iter().filter(|event| event.seq <= ceiling).cloned().collect(),
    }
}
