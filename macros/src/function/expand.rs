//! The marker beside a function, and what the implementations of its trait have in common.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::Function;
use crate::crate_path::CratePath;
use crate::returns::Returns;

impl Function {
    /// The marker of the function's name, and the implementation of a trait for it.
    ///
    /// The marker has braces, so that it has a name among the types only, and the function keeps its own among the values.
    /// The identifier is the user's token, so that renaming in an editor reaches both. `repr(C)` takes a type out of the
    /// lint for names of types, also where that is forbidden to allow.
    pub(crate) fn with_marker(&self, krate: &CratePath, implementation: &TokenStream) -> TokenStream {
        let Self {
            ident,
            visibility,
            cfgs,
            shown,
            ..
        } = self;
        let assertion = self.returns.refuse_hidden_result(krate, cfgs.iter());
        // Nothing else is allowed here: where a crate forbids a lint, an `allow` for it would be an error.
        let calls_deprecated = (!shown.is_empty()).then(|| quote!(#[allow(deprecated)]));
        quote! {
            #(#cfgs)*
            #(#shown)*
            #[doc(hidden)]
            #[repr(C)]
            #visibility struct #ident {}

            #(#cfgs)*
            const _: () = {
                #[automatically_derived]
                #calls_deprecated
                #implementation
            };

            #assertion
        }
    }

    /// `Input`, `Output` and `Error`. They stand where the user's types stand, so that one that cannot be stored, or that is
    /// too private, is told there.
    pub(crate) fn associated_types(&self, krate: &CratePath) -> TokenStream {
        let input = self.input();
        let input = quote!(#input);
        let (output, error) = self.returns.parts(krate);
        let of_type = |name: &str, ty: TokenStream| {
            let span = located(&ty);
            let name = Ident::new(name, span);
            quote_spanned!(span=> type #name = #ty;)
        };
        let types = [("Input", input), ("Output", output), ("Error", error)];
        types.into_iter().map(|(name, ty)| of_type(name, ty)).collect()
    }

    /// `fn run`, whose future is `Send` or not.
    pub(crate) fn run(&self, krate: &CratePath, context_type: &TokenStream, send: &TokenStream) -> TokenStream {
        let (context, input) = (self.context_local(), self.input_local());
        let call = self.call(&context, &input);
        let result = match &self.returns {
            Returns::Nothing => quote!(::core::result::Result::Ok::<(), #krate::NoError>(#call)),
            Returns::Value(ty) => quote!(::core::result::Result::Ok::<#ty, #krate::NoError>(#call)),
            Returns::Result { .. } => call,
            Returns::Alias(ty) => {
                let into_result = quote_spanned! {located(ty)=>
                    <#ty as #krate::__private::ResultType>::into_result
                };
                quote!(#into_result(#call))
            }
        };
        // The span is the function's name, so that a future that cannot move between threads is told there.
        let future = quote_spanned!(located(&self.ident)=> ::std::boxed::Box::pin(async move { #result }));
        quote! {
            fn run(
                #context: #context_type,
                #input: Self::Input
            ) -> ::core::pin::Pin<::std::boxed::Box<
                dyn ::core::future::Future<Output = ::core::result::Result<Self::Output, Self::Error>> #send + 'static
            >> {
                #future
            }
        }
    }

    /// Calls the user's function.
    fn call(&self, context: &Ident, input: &Ident) -> TokenStream {
        let function = &self.ident;
        let context = self.context.as_ref().map(|_| quote!(#context,));
        let input = self.input.as_ref().map(|_| quote!(#input));
        let wait = self.is_async.then(|| quote!(.await));
        quote!(#function(#context #input)#wait)
    }

    /// The local name of the context. It stands where its type stands, so that a type that is only named like the context is
    /// told there.
    fn context_local(&self) -> Ident {
        local("context", self.context.as_ref())
    }

    fn input_local(&self) -> Ident {
        local("input", self.input.as_ref())
    }
}

/// A local name that nothing of the user's can mean; one that is not used says so.
fn local(name: &str, ty: Option<&Type>) -> Ident {
    match ty {
        Some(ty) => Ident::new(name, located(ty)),
        None => format_ident!("_{name}", span = Span::mixed_site()),
    }
}

/// A place of the user's, without the hygiene of a macro of the user's that its tokens may come from.
fn located(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}
