//! All errors of one expansion, told together.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// All errors of one expansion, in the order in which they were found.
#[derive(Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Adds an error on the user's tokens.
    pub(crate) fn push(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Adds an error that has its place.
    pub(crate) fn add(&mut self, error: syn::Error) {
        self.0.extend(error);
    }

    /// Takes out the error that was found last.
    pub(crate) fn take_last(&mut self) -> Option<syn::Error> {
        self.0.pop()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The errors as `compile_error!` invocations.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.into_iter().map(syn::Error::into_compile_error).collect()
    }

    /// The user's item with the errors behind it: it always comes out, so that an error here does not hide what the compiler
    /// has to say of it.
    pub(crate) fn beside(self, item: impl ToTokens) -> TokenStream {
        let errors = self.into_tokens();
        quote!(#item #errors)
    }
}
