//! A network between a client and a server that can be slow, stuck or gone.

use std::{io, path::Path, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use crate::pg::Address;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    Delay(Duration),
    BlackHole,
    Cut,
}

/// Listens on a free TCP port and forwards what comes to a server, as well as its present mode lets it.
///
/// It starts by passing everything on. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: Address,
    mode: watch::Sender<Mode>,
    _acceptor: JoinSet<()>,
}

impl Proxy {
    /// A proxy in front of the server at `target`.
    ///
    /// # Panics
    ///
    /// When no port can be listened on.
    pub async fn start(target: &Address) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("the listener is bound").port();
        let mode = watch::Sender::new(Mode::Pass);
        let mut acceptor = JoinSet::new();
        acceptor.spawn(accept(listener, target.clone(), mode.subscribe()));
        Self {
            address: Address { host: "127.0.0.1".into(), port, ..target.clone() },
            mode,
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

    /// Passes everything on at once, what was held back included.
    pub fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
    }

    /// Holds back what arrives, in both directions, for `by` each time.
    pub fn delay(&self, by: Duration) {
        self.mode.send_replace(Mode::Delay(by));
    }

    /// Keeps connections open, and accepts more, but passes nothing on.
    pub fn black_hole(&self) {
        self.mode.send_replace(Mode::BlackHole);
    }

    /// Closes all connections, and every new one at once.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }
}

async fn accept(listener: TcpListener, target: Address, mode: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(connections.spawn(serve(client, target.clone(), mode.clone()))),
                Err(_) => sleep(Duration::from_millis(10)).await, // out of file handles: wait for some
            },
            Some(_) = connections.join_next() => (), // an error is a side that hung up
        }
    }
}

async fn serve(client: TcpStream, target: Address, mode: watch::Receiver<Mode>) -> io::Result<()> {
    let mut cut = mode.clone();
    tokio::select! {
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => Ok(()),
        ended = forward(client, &target, mode) => ended,
    }
}

async fn forward(client: TcpStream, target: &Address, mode: watch::Receiver<Mode>) -> io::Result<()> {
    client.set_nodelay(true)?;
    if target.is_socket() {
        let socket = Path::new(&target.host).join(format!(".s.PGSQL.{}", target.port));
        bridge(client, UnixStream::connect(socket).await?, mode).await
    } else {
        let server = TcpStream::connect((target.host.as_str(), target.port)).await?;
        server.set_nodelay(true)?;
        bridge(client, server, mode).await
    }
}

async fn bridge<C, S>(client: C, server: S, mode: watch::Receiver<Mode>) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    S: AsyncRead + AsyncWrite,
{
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    tokio::try_join!(pump(from_client, to_server, mode.clone()), pump(from_server, to_client, mode)).map(drop)
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        hold_back(&mut mode).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

async fn hold_back(mode: &mut watch::Receiver<Mode>) {
    loop {
        let now = *mode.borrow_and_update();
        match now {
            Mode::Pass => return,
            Mode::Delay(by) => return sleep(by).await,
            Mode::BlackHole | Mode::Cut => (),
        }
        if mode.changed().await.is_err() {
            return; // the proxy is being dropped
        }
    }
}
