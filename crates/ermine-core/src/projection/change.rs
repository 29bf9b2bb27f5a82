use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::ViewId;

/// Whether events of a type are changes of views that a composite makes.
#[must_use]
pub fn is_change(type_name: &str) -> bool {
    type_name.starts_with("updated:") || type_name.starts_with("deleted:")
}

/// A view that an earlier stage of a [composite](super::composite) has stored: what a later stage gets as an event of
/// type `updated:<projection>`.
///
/// ```
/// use ermine_core::{DomainEvent, Updated};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Trip {
///     driver: String,
/// }
///
/// #[derive(DomainEvent)]
/// #[event(crate = "ermine_core")]
/// enum DriverEvent {
///     #[event(name = "updated:Trip")]
///     TripChanged(Updated<Trip>),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated<T> {
    /// The view's id.
    pub id: ViewId,
    /// What it is after the page.
    pub view: T,
}

/// A view that an earlier stage of a [composite](super::composite) has deleted: an event of type `deleted:<projection>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Deleted<T> {
    /// The view's id.
    pub id: ViewId,
    #[serde(skip)]
    view: PhantomData<fn() -> T>,
}
