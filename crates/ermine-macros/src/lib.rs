//! `#[derive(DomainEvent)]`: see `ermine_core::DomainEvent` for what it gives.

use proc_macro::TokenStream;

/// Derives `DomainEvent` for an enum.
#[proc_macro_derive(DomainEvent, attributes(event, serde))]
pub fn domain_event(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}
