//! `#[derive(DomainEvent)]`: see `ermine_core::DomainEvent` for what it gives.
//!
//! This crate runs while the application compiles and leaves nothing of itself behind: what it writes refers to
//! `::ermine::core` alone, or to what `#[event(crate = "..")]` names.

mod attributes;
mod events;
mod expand;
mod names;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives `DomainEvent` for an enum.
///
/// On the enum:
///
/// - `#[event(prefix = "..")]`: what the type names begin with, instead of the enum's name in snake case without a
///   trailing `Event` or `Events`.
/// - `#[event(crate = "..")]`: where the core is found; `::ermine::core` when it is left out. Adapters that depend on
///   `ermine-core` alone say `#[event(crate = "ermine_core")]`.
///
/// On a variant:
///
/// - `#[event(name = "..")]`: its whole type name.
/// - `#[event(alias = "..")]`, any number of times: another name that the same shape is read under.
/// - `#[event(upcast(from = "..", with = path::to::function))]`, any number of times, oldest first: the name of an older
///   shape, and the `fn(serde_json::Value) -> Result<serde_json::Value, ApplyError>` that makes the next shape of it.
///   `Self::function` works as well.
///
/// The body of a variant with named fields is an object, of one with a single unnamed field that field's JSON, of one
/// with several an array, and of one without fields `{}`. Fields that a body has and the variant has not are ignored.
/// `#[serde(..)]` on fields means what it means in a struct; on a variant `rename_all`, and on the enum
/// `rename_all_fields`, rename the fields. What else serde can say of variants and enums is for the enum's own
/// `Serialize` and `Deserialize`, which it may derive beside this and need not.
///
/// # Examples
///
/// ```
/// use ermine_core::{Body, DomainEvent};
///
/// #[derive(Debug, PartialEq, DomainEvent)]
/// #[event(crate = "ermine_core", prefix = "tour")]
/// enum TripEvent {
///     #[serde(rename_all = "camelCase")]
///     Started { first_driver: String, #[serde(default)] passengers: u32 },
///     #[event(name = "trip.rated")]
///     Rated(u8),
///     Ended,
/// }
///
/// assert_eq!(TripEvent::TYPES, ["tour.started", "trip.rated", "tour.ended"]);
/// assert_eq!(TripEvent::Rated(5).encode()?.as_bytes(), b"5");
///
/// let older = Body::from_json(r#"{"firstDriver":"ada","colour":"red"}"#)?;
/// let started = TripEvent::decode("tour.started", &older)?;
/// assert_eq!(started, TripEvent::Started { first_driver: "ada".into(), passengers: 0 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A type name that stands twice does not compile, be it a name, an alias or that of an older shape:
///
/// ```compile_fail
/// # use ermine_core::DomainEvent;
/// #[derive(DomainEvent)]
/// #[event(crate = "ermine_core")]
/// enum TripEvent {
///     Ended,
///     #[event(name = "trip.ended")]
///     Stopped,
/// }
/// ```
///
/// Nor does an upcaster of another type:
///
/// ```compile_fail,E0308
/// # use ermine_core::DomainEvent;
/// #[derive(DomainEvent)]
/// #[event(crate = "ermine_core")]
/// enum TripEvent {
///     #[event(name = "trip.travelled_v2", upcast(from = "trip.travelled", with = miles_to_km))]
///     Travelled { km: f64 },
/// }
///
/// fn miles_to_km(miles: f64) -> f64 {
///     miles * 1.609344
/// }
/// ```
#[proc_macro_derive(DomainEvent, attributes(event, serde))]
pub fn domain_event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    events::Events::read(&input)
        .map_or_else(syn::Error::into_compile_error, |events| expand::expand(&events))
        .into()
}
