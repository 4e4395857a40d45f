//! `#[orchestration]`.

mod attributes;
mod lint;

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
    let Some(mut function) = function::parse(item.clone(), Kind::Orchestration, &mut errors) else {
        return errors.beside(item);
    };
    let implementation = implement(&function, &attributes, &mut errors);
    lint::check(&function, &mut errors);
    lint::strip(&mut function);
    errors.beside(quote!(#function #implementation))
}

/// Writes the marker and `impl Orchestration`; `None` if the function cannot be an orchestration.
fn implement(item: &ItemFn, attributes: &Attributes, errors: &mut Errors) -> Option<TokenStream> {
    let errors_before = errors.count();
    if item.sig.asyncness.is_none() {
        errors.push(
            item.sig.fn_token,
            "an orchestration is an `async fn`: it awaits what it calls",
        );
    }
    let function = function::read(item, Kind::Orchestration, attributes.name.as_ref(), errors);
    if function.as_ref().is_some_and(|function| !function.has_context()) {
        errors.push(
            &item.sig.ident,
            "an orchestration takes its context as the first parameter, `ctx: OrchestrationContext`: without it, it can \
             neither call nor wait for anything",
        );
    }
    let function = function.filter(|_| errors.count() == errors_before)?;
    let krate = &attributes.crate_path;
    let (ident, name) = (&function.ident, &function.name);
    let version = attributes.version.as_ref().map_or_else(String::new, syn::LitStr::value);
    let types = function.associated_types(krate);
    let run = function.run(krate, &quote!(#krate::OrchestrationContext), &TokenStream::new());
    let implementation = quote! {
        impl #krate::Orchestration for #ident {
            const NAME: &'static str = #name;
            const VERSION: &'static str = #version;
            #types
            #run
        }
    };
    Some(function.with_marker(krate, &implementation))
}
