//! The path of `abide` in expansions.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Path;
use syn::meta::ParseNestedMeta;

/// The path of the crate `abide`: `::abide`, or the value of `crate = path`.
#[derive(Default)]
pub(crate) struct CratePath(Option<Path>);

impl CratePath {
    /// Parses the value of `crate = path`. `meta` is at `crate`.
    pub(crate) fn parse(&mut self, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        if self.0.is_some() {
            return Err(meta.error("`crate` is set twice"));
        }
        self.0 = Some(meta.value()?.parse()?);
        Ok(())
    }
}

impl ToTokens for CratePath {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.0 {
            Some(path) => path.to_tokens(tokens),
            None => quote!(::abide).to_tokens(tokens),
        }
    }
}
