//! `#[derive(FromCallError)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Field, Type, Variant};

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::{hygiene, types};

const ADVICE: &str = "give it one variant `Runtime(#[from] CallError)`, which takes errors of the runtime, and derive `thiserror::Error`";

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

/// The variants that the expansion constructs.
struct Variants {
    /// Constructs the variant for errors of the runtime from the local `taken`.
    runtime: TokenStream,
    /// Constructs the variant for a `Failure` from the same local, with the type as the user wrote it.
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

/// Finds the variants that take errors of the runtime and failures.
fn find_variants(item: &DeriveInput, errors: &mut Errors) -> Option<Variants> {
    if !item.generics.params.is_empty() {
        errors.push(
            &item.generics,
            "`FromCallError` cannot be derived for a generic type: the conversion from every `CallError<E>` would overlap with others",
        );
    }
    let Data::Enum(data) = &item.data else {
        errors.push(&item.ident, format!("`FromCallError` requires an enum; {ADVICE}"));
        return None;
    };
    let (mut runtime, mut failure) = (None, None);
    for variant in &data.variants {
        refuse_misplaced(variant, errors);
        for field in &variant.fields {
            if has_name(&field.ty, "CallError") {
                check_runtime(variant, field, runtime.is_some(), errors);
                runtime = Some(constructor(variant, field));
            } else if has_name(&field.ty, "Failure") && has(field, "from") {
                errors.push(
                    &field.ty,
                    "`Failure` is not a `std::error::Error` because every error converts into it, so `thiserror` \
                     cannot take it with `#[from]`: write `#[error(\"{0}\")] Failed(#[from_call_error] Failure)`",
                );
            } else if has(field, "from_call_error") {
                check_failure(field, failure.is_some(), errors);
                failure = Some((constructor(variant, field), field.ty.clone()));
            }
        }
    }
    if runtime.is_none() {
        let error = &item.ident;
        errors.push(error, format!("`{error}` cannot hold errors of the runtime; {ADVICE}"));
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
            "write `#[from] CallError`: `thiserror` then generates the conversion for operations without an error type",
        );
    }
    if is_second {
        errors.push(
            &variant.ident,
            "duplicate variant with `CallError`; only one variant takes errors of the runtime",
        );
    }
}

fn check_failure(field: &Field, is_second: bool, errors: &mut Errors) {
    if !has_name(&field.ty, "Failure") {
        errors.push(
            &field.ty,
            "`#[from_call_error]` marks the variant that takes a `Failure`; use the `#[from]` of `thiserror` for any other error",
        );
    } else if is_second {
        errors.push(
            &field.ty,
            "duplicate variant with `#[from_call_error] Failure`; only one variant takes a `Failure`",
        );
    }
}

fn refuse_misplaced(variant: &Variant, errors: &mut Errors) {
    for attribute in &variant.attrs {
        if attribute.path().is_ident("from_call_error") {
            errors.push(
                attribute,
                "`#[from_call_error(...)]` belongs on the enum; the variant is identified by its `#[from] CallError`",
            );
        }
    }
    for attribute in variant.fields.iter().flat_map(|field| &field.attrs) {
        if attribute.path().is_ident("from_call_error") && attribute.meta.require_path_only().is_err() {
            errors.push(
                attribute,
                "on a field, `#[from_call_error]` takes no settings and marks the variant that takes a `Failure`; settings belong on the enum",
            );
        }
    }
}

/// Returns whether a type is written with this name: `CallError` or `CallError<NoError>`.
fn has_name(ty: &Type, name: &str) -> bool {
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
