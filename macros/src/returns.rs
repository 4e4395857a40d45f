//! Return types of operations, activities and orchestrations.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, GenericArgument, Path, PathArguments, ReturnType, Type};

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::types;

/// The return type of a function.
#[expect(
    clippy::large_enum_variant,
    reason = "each function has only one, and only while a macro runs"
)]
pub(crate) enum Returns {
    /// No return type.
    Nothing,
    /// A type that is not written as `Result`.
    Value(Type),
    /// `Result<T, E>`
    Result { answer: Type, error: Type },
    /// An alias named `Result` with different generics. A trait provides its parts.
    Alias(Type),
}

/// Reads a return type. A type that is written as `Result` is split, even if it is an alias.
pub(crate) fn read(output: &ReturnType, kind: Kind, self_type: Option<&Path>, errors: &mut Errors) -> Returns {
    let ReturnType::Type(_, ty) = output else {
        return Returns::Nothing;
    };
    types::refuse_borrows(
        ty,
        &format!("the return value of {kind}"),
        "return an owned type (`String`, `Vec<T>`)",
        errors,
    );
    if let Type::Never(never) = types::ungrouped(ty) {
        errors.push(
            never,
            format!("{kind} that never returns has no result: omit the return type"),
        );
    }
    let ty = match self_type {
        Some(self_type) => types::without_self(ty, self_type),
        None => types::ungrouped(ty).clone(),
    };
    let Some(last) = types::last_segment(&ty).filter(|last| last.ident == "Result") else {
        return Returns::Value(ty);
    };
    if let PathArguments::AngleBracketed(generics) = &last.arguments {
        let mut parts = generics.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        });
        if let (Some(answer), Some(error), None) = (parts.next(), parts.next(), parts.next()) {
            return Returns::Result { answer, error };
        }
    }
    Returns::Alias(ty)
}

impl Returns {
    /// Returns the types of the return value and of the error.
    pub(crate) fn parts(&self, krate: &CratePath) -> (TokenStream, TokenStream) {
        let no_error = quote!(#krate::NoError);
        match self {
            Self::Nothing => (quote!(()), no_error),
            Self::Value(ty) => (quote!(#ty), no_error),
            Self::Result { answer, error } => (quote!(#answer), quote!(#error)),
            Self::Alias(ty) => {
                let part = |name: &str| {
                    let name = Ident::new(name, ty.span());
                    quote_spanned!(ty.span()=> <#ty as #krate::__private::ResultType>::#name)
                };
                (part("Answer"), part("Error"))
            }
        }
    }

    /// Rejects a `Result` behind an alias with another name, because an `Err` in it would be stored as a return value.
    pub(crate) fn refuse_hidden_result<'a>(
        &self,
        krate: &CratePath,
        cfgs: impl Iterator<Item = &'a Attribute>,
    ) -> Option<TokenStream> {
        const TEXT: &str = "this return type is a `Result` behind an alias with another name, so an `Err` in it would count as a success: name the alias `Result`, or write the `Result` out";
        let Self::Value(ty) = self else {
            return None;
        };
        let assertion = quote_spanned! {ty.span()=>
            ::core::assert!(!#krate::__private::IsResult::<#ty>::__ABIDE_IS_RESULT, #TEXT);
        };
        Some(quote! {
            #(#cfgs)*
            const _: () = {
                #[allow(unused_imports)]
                use #krate::__private::IsNoResult as _;
                #assertion
            };
        })
    }
}
