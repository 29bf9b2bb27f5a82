use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    sync::Arc,
};

use ermine_core::{Epoch, Error, ParkKey, Seq};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Mode,
    commit::Committer,
    fold::Folder,
    load::Loader,
    setback::Setback,
    triage::{Blamed, Triage, Tries},
    worker::Worker,
};
use crate::Mark;

/// Pages that may wait before each of the later stages; the budget bounds what they hold.
const WAITING_PAGES: usize = 1;

/// Three stages that overlap: while page n commits, page n + 1 folds and page n + 2 loads.
///
/// Whatever fails, the whole pipeline ends, and with it all that was known beyond the stored progress.
pub(super) struct Pipeline<'w> {
    pub(super) worker: &'w Worker,
    pub(super) marks: watch::Receiver<Option<Mark>>,
    /// The mark at which it starts; its incarnation is that of everything here.
    pub(super) start: Mark,
    /// The stored progress.
    pub(super) position: Seq,
    pub(super) epoch: Epoch,
    /// Events above this number may have effects; `None` means that none may.
    pub(super) effects_above: Option<Seq>,
    /// How many events the first page may have.
    pub(super) events_max: NonZeroUsize,
    pub(super) tries: Arc<Tries>,
    pub(super) blamed: HashMap<Seq, Blamed>,
    /// Behind what later events wait.
    pub(super) waiting: HashSet<ParkKey>,
}

/// The stages, the one whose failure explains the others' first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Commit,
    Load,
    Fold,
}

impl Pipeline<'_> {
    /// Runs until told to stop, and then until everything in flight is committed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends all stages; a commit in flight may or may not have been made.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<(), Setback> {
        let (pages, loaded) = mpsc::channel(WAITING_PAGES);
        let (batches, folded) = mpsc::channel(WAITING_PAGES);
        let (committed, answered) = watch::channel(0);
        let worker = self.worker;
        let (shard, store, settings) = (&worker.shard, &worker.store, &worker.settings);
        let loader = Loader {
            shard: shard.clone(),
            log: worker.log.reader(self.position),
            settings: settings.clone(),
            mode: worker.mode,
            start: self.start,
            marks: self.marks,
            upstreams: worker.upstreams.iter().map(|upstream| upstream.subscribe()).collect(),
            pages_loaded: worker.pages_loaded.clone(),
            position: self.position,
            events_max: self.events_max,
        };
        let triage = Triage {
            shard: shard.clone(),
            store: store.clone(),
            clock: worker.clock.clone(),
            call_deadline: settings.call_deadline,
            is_strict: worker.is_strict(),
            is_rebuild: matches!(worker.mode, Mode::Rebuild { .. }),
            tries: self.tries,
            blamed: self.blamed,
            waiting: self.waiting,
            held: None,
        };
        let folder = Folder {
            shard: shard.clone(),
            store: store.clone(),
            settings: settings.clone(),
            epoch: self.epoch,
            incarnation: self.start.incarnation,
            committed: answered,
            effects_above: self.effects_above,
            triage,
            busy: worker.busy.clone(),
        };
        let committer = Committer {
            shard: shard.clone(),
            store: store.clone(),
            settings: settings.clone(),
            status: worker.status.clone(),
            published: worker.published.clone(),
            committed,
        };
        // The loader may be waiting for the mark when a later stage fails.
        let ended = stop.child_token();
        let loading_ends = ended.clone();
        let mut stages = JoinSet::new();
        stages.spawn(
            async move { (Stage::Load, loader.run(pages, loading_ends).await.map_err(Setback::from)) },
        );
        stages.spawn(async move { (Stage::Fold, folder.run(loaded, batches).await) });
        stages.spawn(async move { (Stage::Commit, committer.run(folded).await) });
        let mut failed: Option<(Stage, Setback)> = None;
        while let Some(joined) = stages.join_next().await {
            ended.cancel();
            let (stage, result) = match joined {
                Ok(stage) => stage,
                Err(aborted) if aborted.is_cancelled() => continue,
                Err(panic) => {
                    let error = Error::fatal("a stage of the pipeline ended").with_source(panic);
                    (Stage::Fold, Err(error.into()))
                }
            };
            if stage == Stage::Commit && result.is_err() {
                stages.abort_all(); // whatever they are about to find out is void
            }
            if let Err(setback) = result
                && failed.as_ref().is_none_or(|(first, _)| stage < *first)
            {
                failed = Some((stage, setback));
            }
        }
        failed.map_or(Ok(()), |(_, setback)| Err(setback))
    }
}
