use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::{Field, Fields, LitStr, Path};

use crate::events::{Event, Events};

pub(crate) fn expand(events: &Events<'_>) -> TokenStream {
    let Events { ident, core, variants } = events;
    let types = variants.iter().flat_map(Event::all_names).map(LitStr::value);
    let names = variants.iter().map(|v| v.type_name.value());
    let renamed = variants.iter().flat_map(|variant| {
        let current = variant.type_name.value();
        let older =
            variant.all_names().map(LitStr::value).filter(move |name| *name != variant.type_name.value());
        older.map(move |older| quote!((#older, #current)))
    });
    let idents = variants.iter().map(|v| v.ident);
    let encode = encode(events);
    let arms = variants.iter().map(|variant| {
        let (names, decode) = (variant.all_names().map(LitStr::value), decode(variant, events));
        quote!(#(#names)|* => #decode)
    });
    let (type_name, body) = (local("type_name"), local("body"));
    quote! {
        #[automatically_derived]
        impl #core::DomainEvent for #ident {
            const TYPES: &'static [&'static str] = &[#(#types),*];
            const RENAMED: &'static [(&'static str, &'static str)] = &[#(#renamed),*];

            fn type_name(&self) -> &'static str {
                match self { #(Self::#idents { .. } => #names,)* }
            }

            fn encode(&self) -> #core::Result<#core::Body> {
                #encode
            }

            fn decode(
                #type_name: &str,
                #body: &#core::Body,
            ) -> ::core::result::Result<Self, #core::DecodeError> {
                let decoded = match #type_name {
                    #(#arms,)*
                    _ => {
                        return ::core::result::Result::Err(#core::DecodeError::Type {
                            type_name: ::std::borrow::ToOwned::to_owned(#type_name),
                        });
                    }
                };
                decoded.map_err(|source| #core::DecodeError::Body {
                    type_name: ::std::borrow::ToOwned::to_owned(#type_name),
                    source,
                })
            }
        }
    }
}

/// Serializes through a twin of the enum that serde derives `untagged`, as for a remote type: fields are borrowed
/// where they are and keep their own types, so `#[serde(with = "..")]` gets what it would get in a struct. A variant
/// without fields is `{}` in the twin, whose pattern fits a unit as well.
fn encode(events: &Events<'_>) -> TokenStream {
    let Events { ident, core, variants } = events;
    let (remote, serde_path) = (ident.to_string(), path_text(&serde_path(core)));
    let serde = serde_path_tokens(core);
    let twins = variants.iter().map(|variant| {
        let (name, rename_all) = (variant.ident, &variant.rename_all);
        let fields = twin_fields(variant, ident);
        quote!(#rename_all #name #fields)
    });
    quote! {
        #[derive(#serde::Serialize)]
        #[serde(crate = #serde_path, remote = #remote, untagged)]
        #[allow(dead_code, clippy::all, clippy::pedantic)]
        enum __ErmineTwin { #(#twins),* }

        struct __ErmineFields<'__ermine>(&'__ermine #ident);

        impl #serde::Serialize for __ErmineFields<'_> {
            fn serialize<__ErmineSerializer: #serde::Serializer>(
                &self,
                serializer: __ErmineSerializer,
            ) -> ::core::result::Result<__ErmineSerializer::Ok, __ErmineSerializer::Error> {
                __ErmineTwin::serialize(self.0, serializer)
            }
        }

        #core::Body::encode(&__ErmineFields(self))
    }
}

fn twin_fields(variant: &Event<'_>, ident: &Ident) -> TokenStream {
    let fields = variant.fields.iter().map(|field| helper_field(field, ident));
    match variant.fields {
        Fields::Unnamed(unnamed) if !unnamed.unnamed.is_empty() => quote!((#(#fields),*)),
        _ => quote!({ #(#fields),* }),
    }
}

/// An expression of type `serde_json::Result<Self>`.
fn decode(variant: &Event<'_>, events: &Events<'_>) -> TokenStream {
    let (core, name, rename_all) = (&events.core, variant.ident, &variant.rename_all);
    if variant.fields.is_empty() {
        let json = quote!(#core::__private::serde_json);
        let ty = quote!(::core::option::Option<#json::Map<::std::string::String, #json::Value>>);
        let parsed = parse(variant, core, &ty);
        return quote!(#parsed.map(|_| Self::#name {}));
    }
    let (serde, serde_path) = (serde_path_tokens(core), path_text(&serde_path(core)));
    let fields = variant.fields.iter().map(|field| helper_field(field, events.ident));
    let helper = match variant.fields {
        Fields::Named(_) => quote!(struct __ErmineFields { #(#fields),* }),
        _ => quote!(struct __ErmineFields(#(#fields),*);),
    };
    let members: Vec<_> = variant.fields.members().collect();
    let parsed = parse(variant, core, &quote!(__ErmineFields));
    quote! {{
        #[derive(#serde::Deserialize)]
        #[serde(crate = #serde_path)]
        #rename_all
        #[allow(clippy::all, clippy::pedantic)]
        #helper

        #parsed.map(|fields| Self::#name { #(#members: fields.#members),* })
    }}
}

/// An expression of type `serde_json::Result<ty>`: straight from the text, unless the name is that of an older shape.
fn parse(variant: &Event<'_>, core: &Path, ty: &TokenStream) -> TokenStream {
    let (type_name, body) = (local("type_name"), local("body"));
    if variant.upcasters.is_empty() {
        return quote!(#body.decode::<#ty>());
    }
    let current = variant.current_names().map(LitStr::value);
    let steps = variant.upcasters.iter().map(|upcaster| {
        let (from, with) = (upcaster.from.value(), &upcaster.with);
        quote!((#from, #with))
    });
    quote! {
        (match #type_name {
            #(#current)|* => #body.decode::<#ty>(),
            _ => #core::__private::serde_json::from_value::<#ty>(#body.upcast(#type_name, &[#(#steps),*])?),
        })
    }
}

/// A variable that the paths of upcasters cannot mean: a function may be called `body`.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The field with what serde has to know of it, and nothing else.
fn helper_field(field: &Field, ident: &Ident) -> TokenStream {
    let attrs = field.attrs.iter().filter(|a| a.path().is_ident("serde"));
    let name = field.ident.as_ref().map(|name| quote!(#name:));
    let ty = without_self(field.ty.to_token_stream(), ident);
    quote!(#(#attrs)* #name #ty)
}

/// In a helper `Self` would be the helper.
fn without_self(tokens: TokenStream, ident: &Ident) -> TokenStream {
    let replaced = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(found) if found == "Self" => {
            let mut named = ident.clone();
            named.set_span(found.span());
            TokenTree::Ident(named)
        }
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), without_self(group.stream(), ident));
            inner.set_span(group.span());
            TokenTree::Group(inner)
        }
        other => other,
    });
    replaced.collect()
}

fn serde_path(core: &Path) -> Path {
    let mut path = core.clone();
    path.segments.push(format_ident!("__private").into());
    path.segments.push(format_ident!("serde").into());
    path
}

fn serde_path_tokens(core: &Path) -> TokenStream {
    serde_path(core).into_token_stream()
}

/// The path as serde wants it in `crate = ".."`.
fn path_text(path: &Path) -> String {
    let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
    let root = if path.leading_colon.is_some() { "::" } else { "" };
    format!("{root}{}", segments.join("::"))
}
