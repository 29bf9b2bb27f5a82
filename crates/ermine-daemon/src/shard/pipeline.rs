use std::sync::{Arc, atomic::AtomicU64};

use ermine_core::{Epoch, Error, Result, Seq, ports::Store};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{Mode, Shard, commit::Committer, fold::Folder, load::Loader};
use crate::{Mark, Settings, ShardStatus};

/// Pages that may wait before each of the later stages; the budget bounds what they hold.
const WAITING_PAGES: usize = 1;

/// Three stages that overlap: while page n commits, page n + 1 folds and page n + 2 loads.
///
/// Whatever fails, the whole pipeline ends, and with it all that was known beyond the stored progress.
pub(super) struct Pipeline {
    pub(super) shard: Arc<Shard>,
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Arc<Settings>,
    pub(super) status: Arc<watch::Sender<ShardStatus>>,
    pub(super) marks: watch::Receiver<Option<Mark>>,
    pub(super) pages_loaded: Arc<AtomicU64>,
    pub(super) mode: Mode,
    /// The mark at which it starts; its incarnation is that of everything here.
    pub(super) start: Mark,
    /// The stored progress.
    pub(super) position: Seq,
    pub(super) epoch: Epoch,
}

/// The stages, the one whose failure explains the others' first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Commit,
    Load,
    Fold,
}

impl Pipeline {
    /// Runs until told to stop, and then until everything in flight is committed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends all stages; a commit in flight may or may not have been made.
    pub(super) async fn run(self, stop: CancellationToken) -> Result<()> {
        let (pages, loaded) = mpsc::channel(WAITING_PAGES);
        let (batches, folded) = mpsc::channel(WAITING_PAGES);
        let (committed, answered) = watch::channel(0);
        let loader = Loader {
            shard: self.shard.clone(),
            store: self.store.clone(),
            settings: self.settings.clone(),
            mode: self.mode,
            start: self.start,
            marks: self.marks,
            pages_loaded: self.pages_loaded,
            position: self.position,
        };
        let folder = Folder {
            shard: self.shard.clone(),
            store: self.store.clone(),
            settings: self.settings.clone(),
            epoch: self.epoch,
            incarnation: self.start.incarnation,
            committed: answered,
        };
        let committer = Committer {
            shard: self.shard,
            store: self.store,
            settings: self.settings,
            status: self.status,
            committed,
        };
        // The loader may be waiting for the mark when a later stage fails.
        let ended = stop.child_token();
        let loading_ends = ended.clone();
        let mut stages = JoinSet::new();
        stages.spawn(async move { (Stage::Load, loader.run(pages, loading_ends).await) });
        stages.spawn(async move { (Stage::Fold, folder.run(loaded, batches).await) });
        stages.spawn(async move { (Stage::Commit, committer.run(folded).await) });
        let mut failed: Option<(Stage, Error)> = None;
        while let Some(joined) = stages.join_next().await {
            ended.cancel();
            let (stage, result) = match joined {
                Ok(stage) => stage,
                Err(aborted) if aborted.is_cancelled() => continue,
                Err(panic) => {
                    (Stage::Fold, Err(Error::fatal("a stage of the pipeline ended").with_source(panic)))
                }
            };
            if stage == Stage::Commit && result.is_err() {
                stages.abort_all(); // whatever they are about to find out is void
            }
            if let Err(error) = result
                && failed.as_ref().is_none_or(|(first, _)| stage < *first)
            {
                failed = Some((stage, error));
            }
        }
        failed.map_or(Ok(()), |(_, error)| Err(error))
    }
}
