use std::collections::HashMap;

use proc_macro2::TokenStream;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, Variant, parse_quote};

use crate::{
    attributes::{self, OnEnum, OnVariant, Upcaster},
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
    /// The name that it is written under.
    pub(crate) type_name: LitStr,
    /// Other names that the same shape was written under.
    pub(crate) aliases: Vec<LitStr>,
    /// The way from older shapes to this one, oldest first.
    pub(crate) upcasters: Vec<Upcaster>,
    /// `#[serde(rename_all = ..)]` for its fields, or nothing.
    pub(crate) rename_all: TokenStream,
    pub(crate) fields: &'a Fields,
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
        let OnVariant { name, aliases, upcasters } = OnVariant::read(&variant.attrs)?;
        let type_name = name.unwrap_or_else(|| {
            LitStr::new(&format!("{prefix}.{}", names::snake_case(&variant.ident)), variant.ident.span())
        });
        attributes::check_name(&type_name.value(), type_name.span())?;
        let mut renames = attributes::serde_settings(&variant.attrs, "rename_all")?;
        if renames.is_empty() {
            renames = attributes::serde_settings(on_enum, "rename_all_fields")?;
        }
        // Only names can be renamed: serde refuses the setting on a tuple.
        let named = matches!(variant.fields, Fields::Named(_));
        let rename_all =
            if named { attributes::as_serde_attribute(&renames, "rename_all") } else { TokenStream::new() };
        Ok(Self { ident: &variant.ident, type_name, aliases, upcasters, rename_all, fields: &variant.fields })
    }

    /// The names of the shape that the variant has now.
    pub(crate) fn current_names(&self) -> impl Iterator<Item = &LitStr> {
        std::iter::once(&self.type_name).chain(&self.aliases)
    }

    /// Every name that it is read under: the current ones, then those of older shapes.
    pub(crate) fn all_names(&self) -> impl Iterator<Item = &LitStr> {
        self.current_names().chain(self.upcasters.iter().map(|upcaster| &upcaster.from))
    }
}

fn refuse_same_names(variants: &[Event<'_>]) -> Result<()> {
    let mut seen: HashMap<String, &Ident> = HashMap::new();
    let mut errors: Option<Error> = None;
    for (variant, name) in variants.iter().flat_map(|v| v.all_names().map(move |name| (v.ident, name))) {
        let text = name.value();
        let Some(first) = seen.insert(text.clone(), variant) else { continue };
        let message = if first == variant {
            format!("{variant} has the type name \"{text}\" twice, and a name stands for one shape")
        } else {
            format!("{first} and {variant} have the same type name, \"{text}\"")
        };
        let error = Error::new(name.span(), message);
        match &mut errors {
            Some(errors) => errors.combine(error),
            None => errors = Some(error),
        }
    }
    errors.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
