use syn::{Ident, ext::IdentExt};

/// `DistanceTravelled` as `distance_travelled`, `HTTPCall2` as `http_call2`.
pub(crate) fn snake_case(ident: &Ident) -> String {
    let name: Vec<char> = ident.unraw().to_string().chars().collect();
    let mut snake = String::with_capacity(name.len() + 4);
    for (at, letter) in name.iter().enumerate() {
        if letter.is_uppercase() && at > 0 && starts_word(name[at - 1], name.get(at + 1).copied()) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Whether a capital between these two begins a word: after a small letter, or as the last capital of a run.
fn starts_word(before: char, after: Option<char>) -> bool {
    before != '_' && (!before.is_uppercase() || after.is_some_and(char::is_lowercase))
}

/// What type names begin with when the enum does not say.
pub(crate) fn default_prefix(ident: &Ident) -> String {
    let snake = snake_case(ident);
    let prefix = snake.strip_suffix("_events").or_else(|| snake.strip_suffix("_event"));
    prefix.unwrap_or(&snake).to_owned()
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    #[test]
    fn names_become_snake_case() {
        let cases = [
            ("Ended", "ended"),
            ("DistanceTravelled", "distance_travelled"),
            ("HTTPCallEnded", "http_call_ended"),
            ("Step2Done", "step2_done"),
            ("A", "a"),
            ("ABTest", "ab_test"),
            ("With_Score", "with_score"),
        ];
        for (name, snake) in cases {
            assert_eq!(snake_case(&Ident::new(name, Span::call_site())), snake);
        }
        assert_eq!(snake_case(&Ident::new_raw("Type", Span::call_site())), "type");
    }

    #[test]
    fn a_prefix_is_the_enum_without_event() {
        let cases = [
            ("TripEvent", "trip"),
            ("TripEvents", "trip"),
            ("Trip", "trip"),
            ("Event", "event"),
            ("Prevent", "prevent"),
        ];
        for (name, prefix) in cases {
            assert_eq!(default_prefix(&Ident::new(name, Span::call_site())), prefix);
        }
    }
}
