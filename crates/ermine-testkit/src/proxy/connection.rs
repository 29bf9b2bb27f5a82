//! One connection through the proxy.

use std::{io, path::Path};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpStream, UnixStream},
    sync::watch,
    time::sleep,
};

use super::{Fault, Way, Weather};
use crate::pg::Address;

/// Forwards until both sides have said that they are done, one of them is lost, or the connection is cut.
///
/// # Errors
///
/// What a side that hung up, or is not there, makes of it.
pub(super) async fn serve(
    mut client: TcpStream,
    target: Address,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let _ = weather.borrow_and_update(); // blows of the past hit nobody
    client.set_nodelay(true)?;
    if target.is_socket() {
        let socket = Path::new(&target.host).join(format!(".s.PGSQL.{}", target.port));
        let mut server = UnixStream::connect(socket).await?;
        if between(&mut client, &mut server, weather).await == Some(Fault::Reset) {
            client.set_zero_linger()?;
        }
    } else {
        let mut server = TcpStream::connect((target.host.as_str(), target.port)).await?;
        server.set_nodelay(true)?;
        if between(&mut client, &mut server, weather).await == Some(Fault::Reset) {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
        }
    }
    Ok(())
}

/// Forwards both ways; the fault that has cut the connection, where one has.
async fn between<C, S>(client: &mut C, server: &mut S, weather: watch::Receiver<Weather>) -> Option<Fault>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut blows = weather.clone();
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = split(server);
    let forward = async {
        tokio::try_join!(
            pump(Way::ToServer, from_client, to_server, weather.clone()),
            pump(Way::ToClient, from_server, to_client, weather),
        )
    };
    tokio::select! {
        _ = forward => None,
        fault = cut(&mut blows) => fault,
    }
}

async fn cut(weather: &mut watch::Receiver<Weather>) -> Option<Fault> {
    let mut seen = weather.borrow().blows;
    loop {
        weather.changed().await.ok()?;
        let now = *weather.borrow_and_update();
        let is_new = std::mem::replace(&mut seen, now.blows) != now.blows;
        if is_new && matches!(now.fault, Some(Fault::Close | Fault::Reset)) {
            return now.fault;
        }
    }
}

/// Forwards one way. An error ends the connection.
async fn pump(
    way: Way,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let mut blows = weather.borrow().blows;
    // Whether the receiver hears nothing any more, because it was told so or because bytes were lost.
    let mut is_deaf = false;
    loop {
        let read = tokio::select! {
            biased;
            changed = weather.changed() => {
                changed.map_err(io::Error::other)?;
                let now = *weather.borrow_and_update();
                let is_new = std::mem::replace(&mut blows, now.blows) != now.blows;
                if let Some(Fault::HalfClose(closed)) = now.fault && is_new && closed.includes(way) && !is_deaf {
                    to.shutdown().await?;
                    is_deaf = true;
                }
                continue;
            }
            read = from.read(&mut buffer) => read?,
        };
        is_deaf |= arrive(way, &weather).await;
        match read {
            0 if is_deaf => {
                // The end of one side is lost as well; the other side hears of it when the way is open again.
                let _ = weather.wait_for(|weather| !is_hole(weather.fault, way)).await;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            0 => return to.shutdown().await,
            _ if is_deaf => {}
            _ => to.write_all(&buffer[..read]).await?,
        }
    }
}

/// Takes as long as the way does; whether what was sent is lost.
async fn arrive(way: Way, weather: &watch::Receiver<Weather>) -> bool {
    // The pump looks at changes itself, so none may be seen here.
    let mut stalled = weather.clone();
    let is_open = |weather: &Weather| !matches!(weather.fault, Some(Fault::Stall(it)) if it.includes(way));
    let Ok(fault) = stalled.wait_for(is_open).await.map(|weather| weather.fault) else { return true };
    match fault {
        Some(Fault::Delay(by)) => {
            sleep(by).await;
            false
        }
        fault => is_hole(fault, way),
    }
}

fn is_hole(fault: Option<Fault>, way: Way) -> bool {
    matches!(fault, Some(Fault::BlackHole(hole)) if hole.includes(way))
}
