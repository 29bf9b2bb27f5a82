//! Ports that nobody listens on.

use std::{net::TcpListener, process};

/// Listens on a free port of this machine.
///
/// It is below those that the system hands out for outgoing connections: a client that keeps trying while nobody listens
/// could be given the very port it tries, and then nobody can listen there again.
pub(crate) fn listen() -> TcpListener {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    let start = process::id().wrapping_mul(31);
    let candidates = (0..COUNT).map(|n| FIRST + start.wrapping_add(n) % COUNT);
    let mut ports = candidates.filter_map(|port| u16::try_from(port).ok());
    ports.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).expect("some port is free")
}

/// A free port, for somebody else to listen on.
pub(crate) fn free() -> u16 {
    listen().local_addr().expect("the listener is bound").port()
}
