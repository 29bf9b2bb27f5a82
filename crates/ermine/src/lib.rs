#![doc = include_str!("../README.md")]

mod builder;
mod ermine;
mod open;

pub use builder::ErmineBuilder;
pub use ermine::Ermine;
pub use ermine_core as core;
pub use ermine_core::{Error, ErrorKind, Result};
pub use ermine_daemon as daemon;
#[cfg(feature = "memory")]
pub use ermine_memory as memory;
#[cfg(feature = "postgres")]
pub use ermine_postgres as postgres;
pub use serde;

/// What most programs need: `use ermine::prelude::*;`.
pub mod prelude {
    pub use ermine_core::{
        Aggregate, AppendBatch, ApplyError, DaemonMode, DomainEvent, ExpectedVersion, NewEvent, Position,
        Recorded, StreamAppend, StreamId, Version, multi_stream, single_stream,
    };
    pub use serde::{Deserialize, Serialize};

    pub use crate::Ermine;
}
