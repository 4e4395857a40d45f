//! `#[activity]`.

mod attributes;
mod duration;
mod options;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;

use crate::errors::Errors;
use crate::function;
use crate::kind::Kind;
use attributes::Attributes;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let attributes = attributes::read(arguments, &mut errors);
    let Some(function) = function::parse(item.clone(), Kind::Activity, &mut errors) else {
        return errors.beside(item);
    };
    let implementation = implement(&function, &attributes, &mut errors);
    errors.beside(quote!(#item #implementation))
}

/// Writes the marker and `impl Activity`; `None` if the function cannot be an activity.
fn implement(item: &ItemFn, attributes: &Attributes, errors: &mut Errors) -> Option<TokenStream> {
    let errors_before = errors.count();
    check_blocking(item, attributes, errors);
    let function = function::read(item, Kind::Activity, attributes.name.as_ref(), errors);
    let function = function.filter(|_| errors.count() == errors_before)?;
    let krate = &attributes.crate_path;
    let (ident, name) = (&function.ident, &function.name);
    let options = options::expand(attributes);
    let types = function.associated_types(krate);
    let run = function.run(krate, &quote!(#krate::ActivityContext), &quote!(+ ::core::marker::Send));
    let implementation = quote! {
        impl #krate::Activity for #ident {
            const NAME: &'static str = #name;
            const OPTIONS: #krate::ActivityOptions = #options;
            #types
            #run
        }
    };
    Some(function.with_marker(krate, &implementation))
}

/// Whether a function blocks its thread is said twice, so that nobody blocks tokio's by forgetting `async`.
fn check_blocking(item: &ItemFn, attributes: &Attributes, errors: &mut Errors) {
    match (&item.sig.asyncness, attributes.is_blocking) {
        (None, false) => errors.push(
            item.sig.fn_token,
            "an activity is an `async fn`; one that blocks its thread, with files or a long computation, is a plain `fn` \
             with `#[activity(blocking)]`, and runs on a thread for such work",
        ),
        (Some(asyncness), true) => errors.push(
            asyncness,
            "an `async fn` waits without blocking its thread: remove `blocking`; or remove `async`, and it runs on a \
             thread for blocking work",
        ),
        _ => {}
    }
}
