//! All errors of one expansion, reported together.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// All errors of one expansion, in the order of their detection.
#[derive(Default)]
pub(crate) struct Errors(Vec<syn::Error>);

impl Errors {
    /// Adds an error at the user's tokens.
    pub(crate) fn push(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(syn::Error::new_spanned(tokens, message));
    }

    /// Adds an error that has a span.
    pub(crate) fn add(&mut self, error: syn::Error) {
        self.0.extend(error);
    }

    /// Removes and returns the last error.
    pub(crate) fn take_last(&mut self) -> Option<syn::Error> {
        self.0.pop()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Converts the errors to `compile_error!` invocations.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.into_iter().map(syn::Error::into_compile_error).collect()
    }

    /// Returns the user's item followed by the errors. The item is always emitted, so that an error of the macro does
    /// not hide errors of the compiler.
    pub(crate) fn beside(self, item: impl ToTokens) -> TokenStream {
        let errors = self.into_tokens();
        quote!(#item #errors)
    }
}
