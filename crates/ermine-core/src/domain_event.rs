use std::error::Error as StdError;

use serde_json::Value;

use crate::{ApplyError, Body, Result};

/// The events of one domain: an enum whose variants have stable type names.
///
/// Derive it. A variant's body is the JSON of its fields, so the name of the enum and of the variant are not in the
/// body, and the type name alone says how to decode it:
///
/// ```
/// use ermine_core::DomainEvent;
///
/// #[derive(DomainEvent)]
/// #[event(crate = "ermine_core")]
/// enum TripEvent {
///     Started { driver: String },
///     #[event(name = "trip.distance_travelled")]
///     Travelled { km: f64 },
///     Ended,
/// }
///
/// let event = TripEvent::Started { driver: "ada".into() };
/// assert_eq!(event.type_name(), "trip.started");
/// assert_eq!(event.encode()?.as_bytes(), br#"{"driver":"ada"}"#);
/// assert_eq!(TripEvent::TYPES, ["trip.started", "trip.distance_travelled", "trip.ended"]);
/// # Ok::<(), ermine_core::Error>(())
/// ```
///
/// The name of a variant is `<prefix>.<variant>` in snake case; the prefix is that of the enum without a trailing
/// `Event` or `Events`, or what `#[event(prefix = "..")]` says. Renaming a variant renames its type: pin the old name with
/// `#[event(name = "..")]`. A name that stands twice in one enum does not compile; several enums may share names.
///
/// # Evolution
///
/// What has been stored stays as it is, so code that changes has to go on reading it:
///
/// - Fields may come and go under the same name: those that only the body has are ignored, and `#[serde(default)]`
///   fills in those that only the variant has.
/// - `alias = ".."` is another name of the same shape, for a type that was renamed.
/// - `upcast(from = "..", with = ..)` is the name of an older shape and the function that makes of its JSON that of the
///   next one, as a `fn(serde_json::Value) -> Result<serde_json::Value, ApplyError>`. Several stand oldest first: an
///   event is run through the function of its own name and those after it, and decoded as what the variant is now.
///
/// ```
/// use ermine_core::{ApplyError, Body, DomainEvent};
/// use serde_json::{Value, json};
///
/// #[derive(Debug, PartialEq, DomainEvent)]
/// #[event(crate = "ermine_core")]
/// enum TripEvent {
///     #[event(name = "trip.started", alias = "trip.begun")]
///     Started { driver: String },
///     #[event(name = "trip.travelled_v3")]
///     #[event(upcast(from = "trip.travelled", with = miles_to_km))]
///     #[event(upcast(from = "trip.travelled_v2", with = name_the_unit))]
///     Travelled { distance: f64, unit: String },
/// }
///
/// /// From `{"miles":1.0}` to `{"km":1.609344}`.
/// fn miles_to_km(v1: Value) -> Result<Value, ApplyError> {
///     let miles = v1["miles"].as_f64().ok_or_else(|| ApplyError::msg("there are no miles"))?;
///     Ok(json!({ "km": miles * 1.609344 }))
/// }
///
/// /// From `{"km":1.609344}` to `{"distance":1.609344,"unit":"km"}`.
/// fn name_the_unit(mut v2: Value) -> Result<Value, ApplyError> {
///     Ok(json!({ "distance": v2["km"].take(), "unit": "km" }))
/// }
///
/// let begun = TripEvent::decode("trip.begun", &Body::from_json(r#"{"driver":"ada"}"#)?)?;
/// assert_eq!(begun.type_name(), "trip.started");
///
/// let travelled = TripEvent::decode("trip.travelled", &Body::from_json(r#"{"miles":1.0}"#)?)?;
/// assert_eq!(travelled, TripEvent::Travelled { distance: 1.609344, unit: "km".into() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A shape is known by its name alone. When a shape changes and its name does not, nothing tells old bodies from new
/// ones and no upcaster can be had: give the new shape a new name. A second name of an older shape is a step that
/// changes nothing, `upcast(from = "trip.begun", with = Ok)`.
///
/// Only events under an older name pay for it. Their JSON passes through a [`Value`], which keeps integers of 64 bits
/// and rounds larger ones to `f64`.
///
/// A name that is added takes effect from where a projection stands: events that it has passed are read again only in a
/// rebuild. Processes that run older code pass over events whose name they do not know: stop them before such an event
/// is appended.
pub trait DomainEvent: Sized + Send + Sync + 'static {
    /// Every name that [`decode`](Self::decode) takes: those of its types, their aliases, and those of older shapes.
    const TYPES: &'static [&'static str];

    /// The older names among them, each with the name that the type has now.
    const RENAMED: &'static [(&'static str, &'static str)] = &[];

    /// The name of this event's type, which it is appended under: never an alias, never that of an older shape.
    fn type_name(&self) -> &'static str;

    /// The JSON of this event's fields.
    ///
    /// # Errors
    ///
    /// [`Serialization`](crate::ErrorKind::Serialization) when a field has no JSON form or holds NUL.
    fn encode(&self) -> Result<Body>;

    /// The event of type `type_name` whose fields are in `body`.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] when the body does not fit the type, an upcaster fails, or the type is none of
    /// [`Self::TYPES`].
    fn decode(type_name: &str, body: &Body) -> std::result::Result<Self, DecodeError>;
}

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The JSON, as its upcasters left it where there are any, does not have the shape that the type wants.
    #[error("the body does not fit type \"{type_name}\"")]
    Body {
        /// The type.
        type_name: String,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// An upcaster failed.
    #[error("cannot upcast the body of type \"{type_name}\"")]
    Upcast {
        /// The type that the event is stored under.
        type_name: String,
        /// What the upcaster says.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The enum has no such type.
    #[error("no variant has the type name \"{type_name}\"")]
    Type {
        /// The type.
        type_name: String,
    },
}

/// Makes of the JSON of one shape that of the next.
type Upcaster = fn(Value) -> Result<Value, ApplyError>;

impl Body {
    /// The JSON in the current shape; `upcasters` are the names of the older ones with the way on, oldest first. For the
    /// derive macro, not for anybody else.
    #[doc(hidden)]
    pub fn upcast(&self, type_name: &str, upcasters: &[(&str, Upcaster)]) -> Result<Value, DecodeError> {
        let json =
            self.decode().map_err(|source| DecodeError::Body { type_name: type_name.to_owned(), source })?;
        upcasters
            .iter()
            .skip_while(|(from, _)| *from != type_name)
            .try_fold(json, |json, (_, upcaster)| upcaster(json))
            .map_err(|e| DecodeError::Upcast { type_name: type_name.to_owned(), source: e.into_inner() })
    }
}
