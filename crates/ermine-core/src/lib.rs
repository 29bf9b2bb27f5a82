//! The storage-agnostic model of Ermine: events, shards and projections, and the ports that a store implements.
//!
//! This crate does no I/O, runs no tasks and knows no database. Read it in this order: [`Seq`] and [`EventRange`], the
//! log as numbers; [`NewEvent`], [`Event`] and [`DomainEvent`], the facts; [`Aggregate`] and the [`Projection`]s made from
//! it; [`Operation`] and [`ShardBatch`], what a projection wants to change; and [`ports`], what a store must do.
//!
//! An author of an application depends on the crate `ermine`; an author of a store adapter depends on this one and proves
//! the adapter with `ermine-conformance`.

mod append;
mod body;
mod clock;
mod domain_event;
mod error;
mod event;
mod filter;
mod id;
mod id_source;
mod layout;
mod letter;
mod log;
mod message;
mod mode;
mod observation;
mod operation;
mod page;
pub mod policy;
pub mod ports;
mod progress;
mod projection;
mod query;
mod range;
mod seq;
mod shard;
mod value;
mod version;
mod view;
mod wish;

pub use append::{AppendBatch, Appended, StreamAppend, ViewPin};
pub use body::Body;
pub use bytes::Bytes;
pub use clock::{Clock, SystemClock};
pub use domain_event::{DecodeError, DomainEvent};
pub use ermine_macros::DomainEvent;
pub use error::{ApplyError, Error, ErrorKind, Result, VersionConflict, ViewConflict};
pub use event::{Event, Metadata, NewEvent, Recorded};
pub use filter::{Admission, EventFilter};
pub use id::{EventId, StreamId, StreamType, TenantId, TypeName, ViewId};
pub use id_source::{CountedIds, IdSource, RandomIds};
pub use jiff::Timestamp;
pub use layout::{Column, ColumnKind, Columns, Layout, SqlName};
pub use letter::{
    DeadLetter, LetterChanges, LetterId, LetterQuery, LetterRequest, LetterState, LetterStatus, ParkKey,
};
pub use log::{LogEntry, LogPoint, StreamHeads};
pub use message::{EffectId, Message};
pub use mode::DaemonMode;
pub use observation::{Bell, Evidence, Holder, HolderId, Incarnation, Observation, Observe};
pub use operation::{Native, Operation, ShardBatch};
pub use page::{EventPage, PageRequest, SkippedEvent, UnknownEvent};
pub use policy::{Action, DeadLetters, ErrorClass, ErrorHandling, ErrorPolicy, ErrorRule, Matcher, Response};
pub use progress::{Epoch, Progress, Statistics, TakenShard};
pub use projection::{
    Admitted, Aggregate, Archived, Composite, Custom, Definition, Deleted, Effects, EventProjection,
    EventTypes, Failure, FailureKind, Failures, FlatTable, Kind, Lifecycle, LookUp, Looked, MultiStream,
    Options, Output, PageEffects, PageError, PageProjection, Patch, Plan, PlanInput, PlannedView, Projected,
    Projection, Registered, RowRule, Scope, SingleStream, Sliced, Slicer, Slices, Spot, Start, Subscribed,
    Subscriber, Subscription, Updated, ViewChanges, ViewIds, ViewRead, ViewType, Views, composite, custom,
    event_projection, flat_table, is_change, look_up, multi_stream, single_stream, sliced, subscription,
    tenant_roll_up,
};
pub use query::{Comparison, Field, FieldIndex, FieldKind, Filter, Order, ViewQuery, field};
pub use range::EventRange;
pub use seq::{Position, Seq};
pub use shard::{ProjectionName, ShardKey, ShardName};
pub use smol_str::SmolStr;
pub use uuid::Uuid;
pub use value::Value;
pub use version::{ExpectedVersion, Version};
pub use view::{StoredView, ViewKey, ViewTable};
pub use wish::Wish;

/// What the derive macro refers to; not for anybody else.
#[doc(hidden)]
pub mod __private {
    pub use serde;
    pub use serde_json;
}
