//! `#[derive(FromCallError)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Field, Type, Variant};

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::{hygiene, types};

const ADVICE: &str =
    "give it one variant `Runtime(#[from] CallError)`, beside `thiserror::Error`: it takes what the runtime met";

pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let item: DeriveInput = match syn::parse2(item) {
        Ok(item) => item,
        Err(error) => return error.into_compile_error(),
    };
    let mut errors = Errors::default();
    let crate_path = parse_attributes(&item.attrs, &mut errors);
    let variants = find_variants(&item, &mut errors);
    match variants {
        Some(variants) if errors.count() == 0 => expand(&item, &variants, &crate_path),
        _ => errors.into_tokens(),
    }
}

/// The variants that the expansion makes.
struct Variants {
    /// How the one is made that takes what the runtime met, of the local `runtime`.
    runtime: TokenStream,
    /// How the one is made that takes a `Failure`, of the same local, and the type as it is spelled.
    failure: Option<(TokenStream, Type)>,
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

/// The variants that take what the runtime met and what comes as a `Failure`.
fn find_variants(item: &DeriveInput, errors: &mut Errors) -> Option<Variants> {
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
    let (mut runtime, mut failure) = (None, None);
    for variant in &data.variants {
        refuse_misplaced(variant, errors);
        for field in &variant.fields {
            if is_spelled(&field.ty, "CallError") {
                check_runtime(variant, field, runtime.is_some(), errors);
                runtime = Some(constructor(variant, field));
            } else if is_spelled(&field.ty, "Failure") && has(field, "from") {
                errors.push(
                    &field.ty,
                    "`Failure` is no `std::error::Error`, because every error converts into it, so `thiserror` cannot \
                     take it by `#[from]`: write `#[error(\"{0}\")] Failed(#[from_call_error] Failure)`",
                );
            } else if has(field, "from_call_error") {
                check_failure(field, failure.is_some(), errors);
                failure = Some((constructor(variant, field), field.ty.clone()));
            }
        }
    }
    if runtime.is_none() {
        let error = &item.ident;
        errors.push(
            error,
            format!("`{error}` has no place for what the runtime met; {ADVICE}"),
        );
    }
    Some(Variants {
        runtime: runtime?,
        failure,
    })
}

fn check_runtime(variant: &Variant, field: &Field, is_second: bool, errors: &mut Errors) {
    if !has(field, "from") {
        errors.push(
            &field.ty,
            "write `#[from] CallError`: `thiserror` then makes the conversion for operations without an own error",
        );
    }
    if is_second {
        errors.push(
            &variant.ident,
            "a second variant with `CallError`; one takes what the runtime met",
        );
    }
}

fn check_failure(field: &Field, is_second: bool, errors: &mut Errors) {
    if !is_spelled(&field.ty, "Failure") {
        errors.push(
            &field.ty,
            "`#[from_call_error]` marks the variant that takes a `Failure`; `thiserror` takes any other error by `#[from]`",
        );
    } else if is_second {
        errors.push(
            &field.ty,
            "a second variant with `#[from_call_error] Failure`; one takes it",
        );
    }
}

fn refuse_misplaced(variant: &Variant, errors: &mut Errors) {
    for attribute in &variant.attrs {
        if attribute.path().is_ident("from_call_error") {
            errors.push(
                attribute,
                "`#[from_call_error(...)]` belongs above the enum; the variant is found by its `#[from] CallError`",
            );
        }
    }
    for attribute in variant.fields.iter().flat_map(|field| &field.attrs) {
        if attribute.path().is_ident("from_call_error") && attribute.meta.require_path_only().is_err() {
            errors.push(
                attribute,
                "on a field it is `#[from_call_error]` alone, and marks the variant that takes a `Failure`; settings belong above the enum",
            );
        }
    }
}

/// Whether a type is spelled with this name: `CallError` or `CallError<NoError>`.
fn is_spelled(ty: &Type, name: &str) -> bool {
    types::last_segment(ty).is_some_and(|last| last.ident == name)
}

fn has(field: &Field, name: &str) -> bool {
    field.attrs.iter().any(|attribute| attribute.path().is_ident(name))
}

fn constructor(variant: &Variant, field: &Field) -> TokenStream {
    let (name, taken) = (&variant.ident, hygiene::local("taken"));
    match &field.ident {
        Some(field) => quote!(#name { #field: #taken }),
        None => quote!(#name(#taken)),
    }
}

fn expand(item: &DeriveInput, variants: &Variants, krate: &CratePath) -> TokenStream {
    let (error, runtime) = (&item.ident, &variants.runtime);
    let (returned, taken) = (hygiene::type_parameter("E", &quote!(#item)), hygiene::local("taken"));
    let from_failure = variants.failure.as_ref().map(|(constructor, failure)| {
        quote! {
            #[automatically_derived]
            impl ::core::convert::From<#failure> for #error {
                fn from(#taken: #failure) -> Self {
                    #error::#constructor
                }
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl<#returned: #krate::__private::PassedOn<#error>> ::core::convert::From<#krate::CallError<#returned>> for #error {
            fn from(__abide_error: #krate::CallError<#returned>) -> Self {
                match __abide_error.into_returned() {
                    ::core::result::Result::Ok(__abide_returned) => {
                        #krate::__private::PassedOn::pass_on(__abide_returned)
                    }
                    ::core::result::Result::Err(#taken) => {
                        let #taken = #krate::CallError::Runtime(#taken);
                        #error::#runtime
                    }
                }
            }
        }

        #from_failure
    }
}
