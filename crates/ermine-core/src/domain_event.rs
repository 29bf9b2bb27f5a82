use crate::{Body, Result};

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
pub trait DomainEvent: Sized + Send + Sync + 'static {
    /// The names of all its types.
    const TYPES: &'static [&'static str];

    /// The name of this event's type.
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
    /// A [`DecodeError`] when the body does not fit the type, or the type is none of [`Self::TYPES`].
    fn decode(type_name: &str, body: &Body) -> std::result::Result<Self, DecodeError>;
}

/// Why a body could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The JSON does not have the shape that the type wants.
    #[error("the body does not fit type \"{type_name}\"")]
    Body {
        /// The type.
        type_name: String,
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// The enum has no such type.
    #[error("no variant has the type name \"{type_name}\"")]
    Type {
        /// The type.
        type_name: String,
    },
}
