//! The marker of a function, and the common parts of the implementations of its trait.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::{Function, Parameter};
use crate::crate_path::CratePath;
use crate::hygiene;
use crate::returns::Returns;

impl Function {
    /// Returns the marker with the function's name and the implementation of a trait for it.
    ///
    /// The marker has braces, so its name is in the type namespace only, and the function keeps its name in the value
    /// namespace. The identifier is the user's token, so that renaming in an editor changes both. `repr(C)` exempts a
    /// type from the lint for type names, even if the crate forbids `allow` for that lint.
    pub(crate) fn with_marker(&self, krate: &CratePath, implementation: &TokenStream) -> TokenStream {
        let Self {
            ident,
            visibility,
            cfgs,
            shown,
            ..
        } = self;
        let assertion = self.returns.refuse_hidden_result(krate, cfgs.iter());
        // No other lint is allowed here: in a crate that forbids a lint, an `allow` for it would be an error.
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

    /// Returns the types `Input`, `Output` and `Error`. They have the spans of the user's types, so that the compiler
    /// reports a type that cannot be stored, or that is too private, at that place.
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

    /// Returns the type of the error, if the function returns a `Result`.
    pub(crate) fn error(&self, krate: &CratePath) -> Option<TokenStream> {
        match self.returns {
            Returns::Nothing | Returns::Value(_) => None,
            Returns::Result { .. } | Returns::Alias(_) => Some(self.returns.parts(krate).1),
        }
    }

    /// Returns the required resources, which are checked when the hub opens, or `None` if the function needs none.
    pub(crate) fn needs(&self, krate: &CratePath) -> Option<TokenStream> {
        let private = quote!(#krate::__private);
        let mut needs = self
            .resources()
            .map(|ty| quote_spanned!(located(ty)=> <#ty as #private::ResourceParameter>::NEED,));
        let first = needs.next()?;
        Some(quote!(const RESOURCES: &'static [#private::ResourceNeed] = &[#first #(#needs)*];))
    }

    /// Returns `fn run`. `send` decides whether its future is `Send`.
    pub(crate) fn run(&self, krate: &CratePath, context_type: &TokenStream, send: &TokenStream) -> TokenStream {
        // The names have the spans of the types, so that the error for a type that only has the name of the context
        // points to that type.
        let local = |name: &str, ty: Option<&Type>| {
            ty.map_or_else(|| hygiene::local(name), |ty| hygiene::local_at(name, ty.span()))
        };
        let (context, input) = (local("context", self.context()), local("input", self.taken()));
        let call = self.call(krate, &context, &input);
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
        // The span is the function's name, so that the compiler reports a future that is not `Send` there.
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

    /// Calls the user's function. The resources are taken before the context is moved.
    fn call(&self, krate: &CratePath, context: &Ident, input: &Ident) -> TokenStream {
        let function = &self.ident;
        let local = |index: usize| hygiene::local(&format!("resource_{index}"));
        let takes = self.resources().enumerate().map(|(index, ty)| {
            let local = local(index);
            let take = quote_spanned!(located(ty)=> <#ty as #krate::__private::ResourceParameter>::take);
            quote!(let #local = #take(#krate::__private::activity_resources(&#context));)
        });
        let takes: TokenStream = takes.collect();
        let mut resources = 0_usize..;
        let parameters = self.parameters.iter().map(|parameter| match parameter {
            Parameter::Context(_) => context.clone(),
            Parameter::Input(_) => input.clone(),
            Parameter::Resource(_) => local(resources.next().unwrap_or_default()),
        });
        let wait = self.is_async.then(|| quote!(.await));
        let call = quote!(#function(#(#parameters),*)#wait);
        if takes.is_empty() {
            call
        } else {
            quote!({ #takes #call })
        }
    }
}

/// Returns the location of the user's tokens without the hygiene of a macro that may have produced them.
fn located(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}
