//! A network between a client and a server that can be slow, stuck or gone.

mod connection;
mod fault;
mod schedule;

use std::{net::SocketAddr, time::Duration};

pub use fault::{Fault, Way};
pub use schedule::{Schedule, Spell};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use crate::{pg::Address, port};

/// How long to wait before a call that failed for want of file handles, or of the port, is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Listens on a free TCP port and forwards what comes to a server, as far as its present fault lets it.
///
/// It starts by passing everything on. Dropping it closes its port and all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: Address,
    weather: watch::Sender<Weather>,
    _acceptor: JoinSet<()>,
}

/// What every connection has to know.
#[derive(Clone, Copy, Debug, Default)]
struct Weather {
    fault: Option<Fault>,
    /// Tells one blow from the next of the same kind.
    blows: u64,
}

impl Proxy {
    /// A proxy in front of the server at `target`.
    ///
    /// # Panics
    ///
    /// When no port can be listened on.
    pub async fn start(target: &Address) -> Self {
        let listener = port::listen();
        let here = listener.local_addr().expect("the listener is bound");
        listener.set_nonblocking(true).expect("a socket can be made not to block");
        let listener = TcpListener::from_std(listener).expect("the runtime has a network");
        let weather = watch::Sender::new(Weather::default());
        let mut acceptor = JoinSet::new();
        acceptor.spawn(accept(listener, here, target.clone(), weather.subscribe()));
        Self {
            address: Address { host: here.ip().to_string(), port: here.port(), ..target.clone() },
            weather,
            _acceptor: acceptor,
        }
    }

    /// Where to connect instead of to the server; user and password are the server's.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A database of the server behind as a `postgres://` URL.
    pub fn url(&self, database: &str) -> String {
        self.address.url(database)
    }

    /// Lets `fault` begin, in place of the one before. One that is a moment hits the connections that there are; any other
    /// lasts until the next one, or until [`pass`](Self::pass).
    pub fn strike(&self, fault: Fault) {
        self.weather.send_modify(|weather| {
            weather.fault = Some(fault);
            weather.blows += 1;
        });
    }

    /// Passes everything on at once, what was held back included.
    pub fn pass(&self) {
        self.weather.send_modify(|weather| weather.fault = None);
    }

    /// Goes through `spells`, and passes everything on when they are over.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves the fault that there is.
    pub async fn suffer(&self, spells: impl IntoIterator<Item = Spell>) {
        for Spell { calm, fault, lasts } in spells {
            sleep(calm).await;
            self.strike(fault);
            sleep(lasts).await;
            self.pass();
        }
    }
}

async fn accept(
    first: TcpListener,
    here: SocketAddr,
    target: Address,
    mut weather: watch::Receiver<Weather>,
) {
    let mut connections = JoinSet::new();
    let mut listener = Some(first);
    loop {
        let refuses = weather.borrow_and_update().fault == Some(Fault::Refuse);
        if refuses {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(here).await.ok();
        }
        tokio::select! {
            changed = weather.changed() => if changed.is_err() { return },
            accepted = incoming(listener.as_ref(), refuses) => if let Some(client) = accepted {
                connections.spawn(connection::serve(client, target.clone(), weather.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The next connection; `None` when it is time to look again what is the matter.
async fn incoming(listener: Option<&TcpListener>, refuses: bool) -> Option<TcpStream> {
    match listener {
        Some(listener) => match listener.accept().await {
            Ok((client, _)) => return Some(client),
            Err(_) => sleep(AGAIN_AFTER).await,
        },
        None if refuses => std::future::pending().await,
        None => sleep(AGAIN_AFTER).await,
    }
    None
}
