//! A connection that owns its driver.

use std::ops::{Deref, DerefMut};

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

/// A [`Client`] with the task that moves its bytes; both end together.
///
/// It outlives nothing: dropping it closes the connection, which rolls back what was open.
#[derive(Debug)]
pub struct OwnedClient {
    client: Client,
    _driver: JoinSet<()>,
}

impl OwnedClient {
    /// Connects without TLS.
    ///
    /// # Errors
    ///
    /// What the server or the network answered.
    pub async fn connect(url: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let mut driver = JoinSet::new();
        driver.spawn(async {
            // The client's own calls report a lost connection.
            let _ = connection.await;
        });
        Ok(Self { client, _driver: driver })
    }
}

impl Deref for OwnedClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for OwnedClient {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}
