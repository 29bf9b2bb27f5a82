use std::{fmt, path::Path, sync::Arc};

use ermine_core::{Error, Result, ports};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    SqliteOptions,
    alive::Threads,
    bell::Doorbell,
    connection::File,
    error::{self, Fault, Outcome},
    lookout::Lookout,
    native::KIND,
    readers::Readers,
    view_sql::ViewSqls,
    writer::{Session, Writer},
};

/// A store in an SQLite file. Clones share its threads, which end with the last of them.
///
/// It needs a Tokio runtime with time, any one at a time.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) file: Arc<File>,
    pub(crate) bell: Arc<Doorbell>,
    pub(crate) views: Arc<ViewSqls>,
    writer: Writer,
    readers: Readers,
    /// Apart from the others, because what is asked may take long, and the daemon is not to wait for it.
    queries: Readers,
    lookout: Lookout,
    writes: Threads,
    reads: Threads,
}

impl Store {
    /// Opens the store that a URL or a plain path names; see [`SqliteOptions::parse`].
    ///
    /// # Errors
    ///
    /// Those of [`SqliteOptions::parse`] and [`SqliteOptions::open`].
    pub async fn open(url_or_path: &str) -> Result<Self> {
        SqliteOptions::parse(url_or_path)?.open().await
    }

    pub(crate) async fn open_with(options: SqliteOptions) -> Result<Self> {
        let options = options.checked()?;
        let no_thread =
            |err| Error::transient("opening the store: no thread can be started").with_source(err);
        let bell = Arc::new(Doorbell::default());
        let (writing, writes) = Threads::new();
        let (opened, is_open) = oneshot::channel();
        let writer = Writer::start(options.clone(), Arc::clone(&bell), writing, opened);
        let writer = writer.map_err(no_thread)?;
        let outcome = is_open.await.unwrap_or(Err(Fault::Closed));
        let file = outcome.map_err(|fault| fault.into_error("opening the store", &options.path))?;
        let (reading, reads) = Threads::new();
        let readers = Readers::start(&file, "reader", &reading).map_err(no_thread)?;
        let queries = Readers::start(&file, "query", &reading).map_err(no_thread)?;
        let lookout = Lookout::start(Arc::clone(&file), Arc::clone(&bell), reading).map_err(no_thread)?;
        let views = Arc::default();
        let inner = Inner { file, bell, views, writer, readers, queries, lookout, writes, reads };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Ends the store's threads and waits until they have closed the file. What is under way is finished first.
    ///
    /// Only the last clone does that; any other is just dropped.
    pub async fn close(self) {
        let Some(inner) = Arc::into_inner(self.inner) else { return };
        drop((inner.readers, inner.queries, inner.lookout));
        inner.reads.ended().await;
        // The last one that closes the file brings the write-ahead log into it; two at the same moment would each leave that
        // to the other.
        drop(inner.writer);
        inner.writes.ended().await;
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.file.options.path
    }

    /// Does `work` in a transaction, all or nothing, and again in another one where the first was lost. Dropping the future
    /// leaves open which.
    pub(crate) async fn change<T, F>(&self, doing: impl FnOnce() -> String, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Session) -> Outcome<T> + Send + 'static,
    {
        let outcome = self.inner.writer.change(work).await;
        outcome.map_err(|fault| fault.into_error(doing(), self.path()))
    }

    pub(crate) async fn read<T, F>(&self, doing: impl FnOnce() -> String, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Outcome<T> + Send + 'static,
    {
        let outcome = self.inner.readers.read(work).await;
        outcome.map_err(|fault| fault.into_error(doing(), self.path()))
    }

    /// Reads what may take as long as the table is large.
    pub(crate) async fn ask<T, F>(&self, doing: impl FnOnce() -> String, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Outcome<T> + Send + 'static,
    {
        let outcome = self.inner.queries.read(work).await;
        outcome.map_err(|fault| fault.into_error(doing(), self.path()))
    }
}

impl ports::Store for Store {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn stream_admin(&self) -> Option<&dyn ports::StreamAdmin> {
        Some(self)
    }

    fn outbox(&self) -> Option<&dyn ports::Outbox> {
        Some(self)
    }

    fn dead_letters(&self) -> Option<&dyn ports::DeadLetterStore> {
        Some(self)
    }

    fn wishes(&self) -> Option<&dyn ports::WishStore> {
        Some(self)
    }

    fn is_passing(&self, error: &(dyn std::error::Error + 'static)) -> bool {
        error::is_passing(error)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("options", &self.inner.file.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
