//! An append in a transaction that stays open until it is told otherwise.

use async_trait::async_trait;
use ermine_conformance::HeldAppend;
use ermine_core::{AppendBatch, Appended, Result};
use ermine_postgres::Store;
use ermine_testkit::pg::OwnedClient;
use tokio::{sync::oneshot, task::JoinSet};

pub(crate) struct Held {
    appended: Appended,
    end: oneshot::Sender<bool>,
    task: JoinSet<()>,
}

impl Held {
    /// Does all of an append but the commit, on a session of its own.
    pub(crate) async fn open(store: Store, mut client: OwnedClient, batch: AppendBatch) -> Result<Self> {
        let (answer, answered) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let transaction = client.transaction().await.unwrap();
            let appended = store.append_in(&transaction, batch).await;
            let done = appended.is_err();
            answer.send(appended).unwrap();
            if done {
                return;
            }
            match ended.await {
                Ok(true) => transaction.commit().await.unwrap(),
                Ok(false) | Err(_) => transaction.rollback().await.unwrap(),
            }
        });
        let appended = answered.await.expect("the task answers")?;
        Ok(Self { appended, end, task })
    }

    pub(crate) async fn end(mut self, commit: bool) {
        self.end.send(commit).expect("the task waits");
        self.task.join_next().await.expect("there is one task").expect("it does not panic");
    }
}

#[async_trait]
impl HeldAppend for Held {
    fn appended(&self) -> &Appended {
        &self.appended
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.end(true).await;
        Ok(())
    }

    async fn rollback(self: Box<Self>) -> Result<()> {
        self.end(false).await;
        Ok(())
    }
}
