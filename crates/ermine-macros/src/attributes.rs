use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, ExprPath, Ident, LitStr, Meta, Path, Result, meta::ParseNestedMeta,
    punctuated::Punctuated, token::Comma,
};

/// The most bytes a type name may have.
const NAME_BYTES_MAX: usize = 200;

/// `#[event(..)]` on the enum.
#[derive(Default)]
pub(crate) struct OnEnum {
    pub(crate) prefix: Option<LitStr>,
    pub(crate) core: Option<Path>,
}

impl OnEnum {
    pub(crate) fn read(attrs: &[Attribute]) -> Result<Self> {
        let mut read = Self::default();
        each_event_setting(attrs, |meta| {
            if meta.path.is_ident("prefix") {
                set(&mut read.prefix, &meta, name_of(&meta)?)
            } else if meta.path.is_ident("crate") {
                let path = meta.value()?.parse::<LitStr>()?.parse()?;
                set(&mut read.core, &meta, path)
            } else {
                Err(meta.error("an enum of events knows #[event(prefix = \"..\", crate = \"..\")]"))
            }
        })?;
        Ok(read)
    }
}

/// `#[event(..)]` on a variant.
#[derive(Default)]
pub(crate) struct OnVariant {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) upcasters: Vec<Upcaster>,
}

/// `upcast(from = "..", with = ..)`: one step from an older shape to the next.
pub(crate) struct Upcaster {
    pub(crate) from: LitStr,
    pub(crate) with: ExprPath,
}

impl OnVariant {
    pub(crate) fn read(attrs: &[Attribute]) -> Result<Self> {
        let mut read = Self::default();
        each_event_setting(attrs, |meta| {
            if meta.path.is_ident("name") {
                set(&mut read.name, &meta, name_of(&meta)?)
            } else if meta.path.is_ident("alias") {
                read.aliases.push(name_of(&meta)?);
                Ok(())
            } else if meta.path.is_ident("upcast") {
                read.upcasters.push(Upcaster::read(&meta)?);
                Ok(())
            } else {
                Err(meta.error(
                    "a variant knows #[event(name = \"..\", alias = \"..\", upcast(from = \"..\", with = ..))]",
                ))
            }
        })?;
        Ok(read)
    }
}

impl Upcaster {
    fn read(meta: &ParseNestedMeta<'_>) -> Result<Self> {
        let (mut from, mut with) = (None, None);
        meta.parse_nested_meta(|meta| {
            if meta.path.is_ident("from") {
                set(&mut from, &meta, name_of(&meta)?)
            } else if meta.path.is_ident("with") {
                set(&mut with, &meta, function_of(&meta)?)
            } else {
                Err(meta.error("an upcaster knows upcast(from = \"..\", with = ..)"))
            }
        })?;
        match (from, with) {
            (Some(from), Some(with)) => Ok(Self { from, with }),
            _ => Err(meta.error("an upcaster needs both, upcast(from = \"..\", with = ..)")),
        }
    }
}

/// The settings of `#[serde(..)]` that are called `wanted`.
pub(crate) fn serde_settings(attrs: &[Attribute], wanted: &str) -> Result<Vec<Meta>> {
    let mut found = Vec::new();
    for attr in attrs.iter().filter(|a| a.path().is_ident("serde")) {
        let settings = attr.parse_args_with(Punctuated::<Meta, Comma>::parse_terminated)?;
        found.extend(settings.into_iter().filter(|setting| setting.path().is_ident(wanted)));
    }
    Ok(found)
}

/// The same settings under another name, as an attribute; nothing where there are none.
pub(crate) fn as_serde_attribute(settings: &[Meta], name: &str) -> TokenStream {
    let name = Ident::new(name, Span::call_site());
    let settings = settings.iter().map(|setting| match setting {
        Meta::Path(_) => name.to_token_stream(),
        Meta::List(list) => {
            let inner = &list.tokens;
            quote!(#name(#inner))
        }
        Meta::NameValue(pair) => {
            let value = &pair.value;
            quote!(#name = #value)
        }
    });
    let mut settings = settings.peekable();
    if settings.peek().is_none() { TokenStream::new() } else { quote!(#[serde(#(#settings),*)]) }
}

fn each_event_setting(
    attrs: &[Attribute],
    mut setting: impl FnMut(ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    attrs.iter().filter(|a| a.path().is_ident("event")).try_for_each(|a| a.parse_nested_meta(&mut setting))
}

fn set<T>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>, value: T) -> Result<()> {
    if slot.replace(value).is_some() { Err(meta.error("this stands twice")) } else { Ok(()) }
}

fn name_of(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let literal: LitStr = meta.value()?.parse()?;
    check_name(&literal.value(), literal.span())?;
    Ok(literal)
}

fn function_of(meta: &ParseNestedMeta<'_>) -> Result<ExprPath> {
    let value = meta.value()?;
    // Serde wants quotes here, so they come naturally.
    value
        .parse()
        .map_err(|e: Error| Error::new(e.span(), "with takes the path of a function, without quotes"))
}

/// Refuses a name that stores cannot keep.
pub(crate) fn check_name(name: &str, span: Span) -> Result<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
        let bytes = name.len();
        let message =
            format!("a type name has 1 to {NAME_BYTES_MAX} bytes without NUL, and this one has {bytes}");
        return Err(Error::new(span, message));
    }
    Ok(())
}
