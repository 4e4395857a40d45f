//! What an operation, an activity or an orchestration returns.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, GenericArgument, Path, PathArguments, ReturnType, Type};

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::types;

/// What a function returns.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each function, and only while a macro runs"
)]
pub(crate) enum Returns {
    /// No return type.
    Nothing,
    /// A type that is not spelled `Result`.
    Value(Type),
    /// `Result<T, E>`
    Result { answer: Type, error: Type },
    /// `Result` with its own idea of generics: the parts are found through a trait.
    Alias(Type),
}

/// Reads a return type. A type that is spelled `Result` is split, whatever alias it is.
pub(crate) fn read(output: &ReturnType, kind: Kind, self_type: Option<&Path>, errors: &mut Errors) -> Returns {
    let ReturnType::Type(_, ty) = output else {
        return Returns::Nothing;
    };
    types::refuse_borrows(
        ty,
        &format!("what {kind} returns"),
        "return an owned type (`String`, `Vec<T>`)",
        errors,
    );
    if let Type::Never(never) = types::ungrouped(ty) {
        errors.push(
            never,
            format!("{kind} that never returns answers nobody: leave the return type out"),
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
    /// The types of the answer and of the error.
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

    /// A `Result` behind an alias of another name would be stored as an answer, and an `Err` would be none: refused.
    pub(crate) fn refuse_hidden_result<'a>(
        &self,
        krate: &CratePath,
        cfgs: impl Iterator<Item = &'a Attribute>,
    ) -> Option<TokenStream> {
        const TEXT: &str = "this return type is a `Result` behind an alias of another name, and an `Err` in it would count as an answer: name the alias `Result`, or write the `Result` out";
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
