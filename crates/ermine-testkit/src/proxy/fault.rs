use std::{fmt, time::Duration};

use rand::{Rng, RngExt, seq::IndexedRandom};

/// What goes wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// What is sent arrives late by so much, in both directions.
    Delay(Duration),
    /// Nothing passes, and what was sent meanwhile arrives when it is over: packets are lost for a while.
    Stall(Way),
    /// What is sent is swallowed, and connections are accepted as if nothing were the matter. One that has lost bytes stays
    /// silent in that direction for good: a firewall has forgotten it.
    BlackHole(Way),
    /// A moment: every connection is closed on both sides.
    Close,
    /// A moment: every connection is reset on both sides.
    Reset,
    /// A moment: in every connection the receiver is told that nothing more will come, while the sender goes on.
    HalfClose(Way),
    /// Nobody listens; connections that are open go on.
    Refuse,
}

/// A direction, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
    /// Each of the two.
    Both,
}

impl Way {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::ToServer, Self::ToClient, Self::Both];

    pub(super) fn includes(self, way: Self) -> bool {
        self == way || self == Self::Both
    }
}

impl Fault {
    /// Any fault; delays are up to a fifth of a second.
    pub fn random(rng: &mut impl Rng) -> Self {
        let way = *Way::ALL.choose(rng).expect("there are three");
        match rng.random_range(0..7) {
            0 => Self::Delay(rng.random_range(Duration::from_millis(1)..Duration::from_millis(200))),
            1 => Self::Stall(way),
            2 => Self::BlackHole(way),
            3 => Self::Close,
            4 => Self::Reset,
            5 => Self::HalfClose(way),
            _ => Self::Refuse,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(by) => write!(f, "a delay of {by:.0?}"),
            Self::Stall(way) => write!(f, "nothing passing {way}"),
            Self::BlackHole(way) => write!(f, "a black hole {way}"),
            Self::Close => f.write_str("all connections closed"),
            Self::Reset => f.write_str("all connections reset"),
            Self::HalfClose(way) => write!(f, "all connections closed {way}"),
            Self::Refuse => f.write_str("new connections refused"),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToServer => "towards the server",
            Self::ToClient => "towards the client",
            Self::Both => "both ways",
        })
    }
}
