use quote::ToTokens;

use super::*;

fn refusal(input: &DeriveInput) -> String {
    Events::read(input).err().expect("this enum is refused").to_string()
}

fn names(input: &DeriveInput) -> Vec<String> {
    let events = Events::read(input).unwrap_or_else(|e| panic!("{e}"));
    events.variants.into_iter().map(|v| v.type_name).collect()
}

#[test]
fn names_come_from_the_enum_the_prefix_or_the_pin() {
    let plain = parse_quote! { enum TripEvent { Started { at: u8 }, HTTPCalled(u8), r#Type } };
    assert_eq!(names(&plain), ["trip.started", "trip.http_called", "trip.type"]);
    let pinned = parse_quote! {
        #[event(prefix = "tour", crate = "a::b")]
        enum TripEvent { Started, #[event(name = "trip_ended")] Ended }
    };
    assert_eq!(names(&pinned), ["tour.started", "trip_ended"]);
}

#[test]
fn the_core_is_found_in_the_facade_unless_another_crate_is_named() {
    let plain: DeriveInput = parse_quote! { enum TripEvent { Started } };
    let text = |input| Events::read(input).map(|e| e.core.to_token_stream().to_string()).ok();
    assert_eq!(text(&plain).as_deref(), Some(":: ermine :: core"));
    let named: DeriveInput = parse_quote! { #[event(crate = "ermine_core")] enum TripEvent { Started } };
    assert_eq!(text(&named).as_deref(), Some("ermine_core"));
}

#[test]
fn a_name_that_stands_twice_is_refused_with_both_variants() {
    let twice = parse_quote! { enum TripEvent { Ended, Other, #[event(name = "trip.ended")] Stopped } };
    assert_eq!(refusal(&twice), "Ended and Stopped have the same type name, \"trip.ended\"");
}

#[test]
fn every_name_that_stands_twice_is_reported_at_once() {
    let twice: DeriveInput = parse_quote! {
        enum TripEvent { A, #[event(name = "trip.a")] B, #[event(name = "trip.a")] C }
    };
    assert_eq!(Events::read(&twice).err().map(|e| e.into_iter().count()), Some(2));
}

#[test]
fn what_is_no_plain_enum_is_refused() {
    assert_eq!(
        refusal(&parse_quote! { struct Trip { km: f64 } }),
        "DomainEvent is for enums: one variant for each type of event"
    );
    assert_eq!(
        refusal(&parse_quote! { enum TripEvent {} }),
        "this enum has no variants, so it has no types of events"
    );
    let generics = "an enum of events has no generics: its type names would not tell what a body holds";
    assert_eq!(refusal(&parse_quote! { enum TripEvent<T> { Started(T) } }), generics);
    assert_eq!(refusal(&parse_quote! { enum TripEvent<'a> { Started(&'a str) } }), generics);
}

#[test]
fn settings_that_nobody_knows_are_refused() {
    let on_enum = parse_quote! { #[event(name = "x")] enum TripEvent { Started } };
    assert_eq!(refusal(&on_enum), "an enum of events knows #[event(prefix = \"..\", crate = \"..\")]");
    let on_variant = parse_quote! { enum TripEvent { #[event(prefix = "x")] Started } };
    assert_eq!(refusal(&on_variant), "a variant knows #[event(name = \"..\")]");
    let twice = parse_quote! { enum TripEvent { #[event(name = "x", name = "y")] Started } };
    assert_eq!(refusal(&twice), "this stands twice");
}

#[test]
fn names_that_no_store_keeps_are_refused() {
    let empty = parse_quote! { enum TripEvent { #[event(name = "")] Started } };
    assert_eq!(refusal(&empty), "a type name has 1 to 200 bytes without NUL, and this one has 0");
    let nul = parse_quote! { enum TripEvent { #[event(name = "a\0b")] Started } };
    assert!(refusal(&nul).contains("without NUL"));
    let prefix = "p".repeat(193);
    let long = parse_quote! { #[event(prefix = #prefix)] enum TripEvent { Started } };
    assert!(refusal(&long).ends_with("has 201"), "the prefix fits, and the whole name does not");
}
