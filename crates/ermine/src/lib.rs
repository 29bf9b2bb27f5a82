#![doc = include_str!("../README.md")]

mod builder;
mod ermine;
mod for_writing;
mod open;
mod query;
pub mod testing;

pub use builder::ErmineBuilder;
pub use ermine::Ermine;
pub use ermine_core as core;
pub use ermine_core::{Error, ErrorKind, Result, policy};
pub use ermine_daemon as daemon;
#[cfg(feature = "memory")]
pub use ermine_memory as memory;
#[cfg(feature = "postgres")]
pub use ermine_postgres as postgres;
#[cfg(feature = "sqlite")]
pub use ermine_sqlite as sqlite;
pub use for_writing::ForWriting;
pub use query::{OnTimeout, Query};
pub use serde;

/// What most programs need: `use ermine::prelude::*;`.
pub mod prelude {
    pub use async_trait::async_trait;
    pub use ermine_core::{
        Aggregate, AppendBatch, ApplyError, Archived, ColumnKind, DaemonMode, DeadLetters, Deleted,
        DomainEvent, Effects, ErrorClass, ErrorPolicy, ExpectedVersion, FieldKind, Filter, FlatTable,
        Lifecycle, Message, NewEvent, Operation, PageEffects, PageError, PageProjection, Patch, Position,
        Projected, Projection, ProjectionName, Recorded, RowRule, ShardName, Slicer, Slices, Start,
        StreamAppend, StreamId, Subscriber, TenantId, Timestamp, Updated, Version, ViewChanges, ViewId,
        ViewRead, ViewTable, Views, composite, custom, event_projection, field, flat_table, look_up,
        multi_stream, single_stream, sliced, subscription, tenant_roll_up,
    };
    pub use ermine_daemon::{Sink, Until};
    pub use serde::{Deserialize, Serialize};

    pub use crate::{Ermine, OnTimeout};
}
