//! `#[derive(FromCallError)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Field, Ident, Type, Variant};

use crate::crate_path::CratePath;
use crate::errors::Errors;

const ADVICE: &str =
    "give it one variant `Runtime(#[from] CallError)`, beside `thiserror::Error`: it takes what the runtime met";

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let crate_path = parse_attributes(&item.attrs, &mut errors);
    let variant = find_variant(&item, &mut errors);
    match variant {
        Some(variant) if errors.count() == 0 => expand(&item.ident, &variant, &crate_path),
        _ => errors.into_tokens(),
    }
}

fn parse_attributes(attributes: &[Attribute], errors: &mut Errors) -> CratePath {
    let mut crate_path = CratePath::default();
    for attribute in attributes {
        if !attribute.path().is_ident("from_call_error") {
            continue;
        }
        let parsed = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                crate_path.parse(&meta)
            } else {
                Err(meta.error("unknown attribute; `#[from_call_error(...)]` takes `crate = path`"))
            }
        });
        if let Err(error) = parsed {
            errors.add(error);
        }
    }
    crate_path
}

/// The one variant that takes what the runtime met, and how it is made.
fn find_variant(item: &DeriveInput, errors: &mut Errors) -> Option<TokenStream> {
    if !item.generics.params.is_empty() {
        errors.push(
            &item.generics,
            "`FromCallError` cannot be derived for a generic type: the conversion from every `CallError<E>` would overlap with others",
        );
    }
    let Data::Enum(data) = &item.data else {
        errors.push(&item.ident, format!("`FromCallError` is derived for an enum; {ADVICE}"));
        return None;
    };
    let mut found = None;
    for variant in &data.variants {
        check_placement(variant, errors);
        let Some(field) = variant.fields.iter().find(|field| is_call_error(&field.ty)) else {
            continue;
        };
        if !is_from(field) {
            errors.push(
                &field.ty,
                "write `#[from] CallError`: `thiserror` then makes the conversion for operations without an own error",
            );
        }
        if found.is_some() {
            errors.push(
                &variant.ident,
                "a second variant with `CallError`; one takes what the runtime met",
            );
        }
        found = Some(constructor(variant, field));
    }
    if found.is_none() {
        let error = &item.ident;
        errors.push(
            error,
            format!("`{error}` has no place for what the runtime met; {ADVICE}"),
        );
    }
    found
}

fn check_placement(variant: &Variant, errors: &mut Errors) {
    let on_fields = variant.fields.iter().flat_map(|field| &field.attrs);
    for attribute in variant.attrs.iter().chain(on_fields) {
        if attribute.path().is_ident("from_call_error") {
            errors.push(
                attribute,
                "`#[from_call_error(...)]` belongs above the enum; the variant is found by its `#[from] CallError`",
            );
        }
    }
}

/// Whether a type is spelled `CallError` or `CallError<NoError>`.
fn is_call_error(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else {
        return false;
    };
    last.ident == "CallError"
}

fn is_from(field: &Field) -> bool {
    field.attrs.iter().any(|attribute| attribute.path().is_ident("from"))
}

fn constructor(variant: &Variant, field: &Field) -> TokenStream {
    let name = &variant.ident;
    match &field.ident {
        Some(field) => quote!(#name { #field: runtime }),
        None => quote!(#name(runtime)),
    }
}

fn expand(error: &Ident, constructor: &TokenStream, krate: &CratePath) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl<E: ::core::convert::Into<#error>> ::core::convert::From<#krate::CallError<E>> for #error {
            fn from(error: #krate::CallError<E>) -> Self {
                match error.into_returned() {
                    ::core::result::Result::Ok(returned) => ::core::convert::Into::into(returned),
                    ::core::result::Result::Err(runtime) => {
                        let runtime = #krate::CallError::Runtime(runtime);
                        #error::#constructor
                    }
                }
            }
        }
    }
}
