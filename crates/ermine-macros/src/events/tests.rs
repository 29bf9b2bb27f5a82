use quote::ToTokens;

use super::*;

fn refusal(input: &DeriveInput) -> String {
    Events::read(input).err().expect("this enum is refused").to_string()
}

fn names(input: &DeriveInput) -> Vec<String> {
    let events = Events::read(input).unwrap_or_else(|e| panic!("{e}"));
    events.variants.into_iter().map(|v| v.type_name.value()).collect()
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
fn aliases_and_older_names_follow_the_name_in_the_order_of_their_settings() {
    let input = parse_quote! {
        enum TripEvent {
            #[event(upcast(from = "v1", with = first), alias = "b", name = "v3")]
            #[event(alias = "a", upcast(with = module::second::<u8>, from = "v2"))]
            Travelled { km: f64 },
        }
    };
    let events = Events::read(&input).unwrap_or_else(|e| panic!("{e}"));
    let [travelled] = events.variants.as_slice() else { panic!("one variant") };
    let names: Vec<String> = travelled.all_names().map(LitStr::value).collect();
    assert_eq!(names, ["v3", "b", "a", "v1", "v2"]);
    assert_eq!(travelled.current_names().count(), 3);
    let with = |at: usize| travelled.upcasters[at].with.to_token_stream().to_string();
    assert_eq!([with(0), with(1)], ["first", "module :: second :: < u8 >"]);
}

#[test]
fn an_alias_or_older_name_of_another_variant_is_refused_with_both_variants() {
    let same = "A and B have the same type name, \"x\"";
    let inputs: [DeriveInput; 5] = [
        parse_quote! { enum E { #[event(alias = "x")] A, #[event(name = "x")] B } },
        parse_quote! { enum E { #[event(name = "x")] A, #[event(alias = "x")] B } },
        parse_quote! { enum E { #[event(alias = "x")] A, #[event(alias = "x")] B } },
        parse_quote! { enum E { #[event(upcast(from = "x", with = f))] A, #[event(alias = "x")] B } },
        parse_quote! { enum E { #[event(name = "x")] A, #[event(upcast(from = "x", with = f))] B } },
    ];
    for input in &inputs {
        assert_eq!(refusal(input), same);
    }
    let default = parse_quote! { enum TripEvent { #[event(alias = "trip.ended")] Stopped, Ended } };
    assert_eq!(refusal(&default), "Stopped and Ended have the same type name, \"trip.ended\"");
}

#[test]
fn a_name_that_one_variant_has_twice_is_refused() {
    let twice = "A has the type name \"e.a\" twice, and a name stands for one shape";
    let inputs: [DeriveInput; 4] = [
        parse_quote! { enum E { #[event(alias = "e.a")] A } },
        parse_quote! { enum E { #[event(name = "x", alias = "e.a", alias = "e.a")] A } },
        parse_quote! { enum E { #[event(upcast(from = "e.a", with = f))] A } },
        parse_quote! {
            enum E { #[event(name = "x", upcast(from = "e.a", with = f), upcast(from = "e.a", with = g))] A }
        },
    ];
    for input in &inputs {
        assert_eq!(refusal(input), twice);
    }
}

#[test]
fn an_upcaster_that_is_not_whole_is_refused() {
    let needs = "an upcaster needs both, upcast(from = \"..\", with = ..)";
    assert_eq!(refusal(&parse_quote! { enum E { #[event(upcast(from = "x"))] A } }), needs);
    assert_eq!(refusal(&parse_quote! { enum E { #[event(upcast(with = f))] A } }), needs);
    assert_eq!(
        refusal(&parse_quote! { enum E { #[event(upcast(from = "x", to = "y"))] A } }),
        "an upcaster knows upcast(from = \"..\", with = ..)"
    );
    assert_eq!(
        refusal(&parse_quote! { enum E { #[event(upcast(from = "x", from = "y", with = f))] A } }),
        "this stands twice"
    );
    let path = "with takes the path of a function, without quotes";
    assert_eq!(refusal(&parse_quote! { enum E { #[event(upcast(from = "x", with = "f"))] A } }), path);
    assert_eq!(refusal(&parse_quote! { enum E { #[event(upcast(from = "x", with = |v| Ok(v)))] A } }), path);
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
    assert_eq!(
        refusal(&on_variant),
        "a variant knows #[event(name = \"..\", alias = \"..\", upcast(from = \"..\", with = ..))]"
    );
    let twice = parse_quote! { enum TripEvent { #[event(name = "x", name = "y")] Started } };
    assert_eq!(refusal(&twice), "this stands twice");
}

#[test]
fn names_that_no_store_keeps_are_refused() {
    let empty = parse_quote! { enum TripEvent { #[event(name = "")] Started } };
    assert_eq!(refusal(&empty), "a type name has 1 to 200 bytes without NUL, and this one has 0");
    let nul = parse_quote! { enum TripEvent { #[event(name = "a\0b")] Started } };
    assert!(refusal(&nul).contains("without NUL"));
    let alias = parse_quote! { enum TripEvent { #[event(alias = "")] Started } };
    assert!(refusal(&alias).ends_with("has 0"));
    let older = parse_quote! { enum TripEvent { #[event(upcast(from = "", with = f))] Started } };
    assert!(refusal(&older).ends_with("has 0"));
    let prefix = "p".repeat(193);
    let long = parse_quote! { #[event(prefix = #prefix)] enum TripEvent { Started } };
    assert!(refusal(&long).ends_with("has 201"), "the prefix fits, and the whole name does not");
}
