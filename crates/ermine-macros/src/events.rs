use std::collections::HashMap;

use proc_macro2::{Span, TokenStream};
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, Path, Result, Variant, parse_quote};

use crate::{
    attributes::{self, OnEnum},
    names,
};

/// An enum of events, read and checked.
pub(crate) struct Events<'a> {
    pub(crate) ident: &'a Ident,
    /// Where the core is found.
    pub(crate) core: Path,
    pub(crate) variants: Vec<Event<'a>>,
}

/// One variant.
pub(crate) struct Event<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) type_name: String,
    /// `#[serde(rename_all = ..)]` for its fields, or nothing.
    pub(crate) rename_all: TokenStream,
    pub(crate) fields: &'a Fields,
    /// Where an error about the name points to.
    span: Span,
}

impl<'a> Events<'a> {
    pub(crate) fn read(input: &'a DeriveInput) -> Result<Self> {
        let Data::Enum(data) = &input.data else {
            return Err(Error::new(
                input.ident.span(),
                "DomainEvent is for enums: one variant for each type of event",
            ));
        };
        if !input.generics.params.is_empty() {
            let message =
                "an enum of events has no generics: its type names would not tell what a body holds";
            return Err(Error::new_spanned(&input.generics, message));
        }
        if data.variants.is_empty() {
            return Err(Error::new(
                input.ident.span(),
                "this enum has no variants, so it has no types of events",
            ));
        }
        let settings = OnEnum::read(&input.attrs)?;
        let prefix = settings.prefix.map_or_else(|| names::default_prefix(&input.ident), |p| p.value());
        let variants: Vec<Event<'a>> =
            data.variants.iter().map(|v| Event::read(v, &prefix, &input.attrs)).collect::<Result<_>>()?;
        refuse_same_names(&variants)?;
        let core = settings.core.unwrap_or_else(|| parse_quote!(::ermine::core));
        Ok(Self { ident: &input.ident, core, variants })
    }
}

impl<'a> Event<'a> {
    fn read(variant: &'a Variant, prefix: &str, on_enum: &[Attribute]) -> Result<Self> {
        let pinned = attributes::variant_name(&variant.attrs)?;
        let span = pinned.as_ref().map_or_else(|| variant.ident.span(), syn::LitStr::span);
        let type_name = pinned
            .map_or_else(|| format!("{prefix}.{}", names::snake_case(&variant.ident)), |name| name.value());
        attributes::check_name(&type_name, span)?;
        let mut renames = attributes::serde_settings(&variant.attrs, "rename_all")?;
        if renames.is_empty() {
            renames = attributes::serde_settings(on_enum, "rename_all_fields")?;
        }
        // Only names can be renamed: serde refuses the setting on a tuple.
        let named = matches!(variant.fields, Fields::Named(_));
        let rename_all =
            if named { attributes::as_serde_attribute(&renames, "rename_all") } else { TokenStream::new() };
        Ok(Self { ident: &variant.ident, type_name, rename_all, fields: &variant.fields, span })
    }
}

fn refuse_same_names(variants: &[Event<'_>]) -> Result<()> {
    let mut seen: HashMap<&str, &Ident> = HashMap::new();
    let mut errors: Option<Error> = None;
    for variant in variants {
        let Some(first) = seen.insert(&variant.type_name, variant.ident) else { continue };
        let message =
            format!("{first} and {} have the same type name, \"{}\"", variant.ident, variant.type_name);
        let error = Error::new(variant.span, message);
        match &mut errors {
            Some(errors) => errors.combine(error),
            None => errors = Some(error),
        }
    }
    errors.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
