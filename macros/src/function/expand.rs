//! The marker beside a function, and what the implementations of its trait have in common.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use super::{Function, Parameter};
use crate::crate_path::CratePath;
use crate::hygiene;
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

    /// The type of the error, if it returns a `Result`.
    pub(crate) fn error(&self, krate: &CratePath) -> Option<TokenStream> {
        match self.returns {
            Returns::Nothing | Returns::Value(_) => None,
            Returns::Result { .. } | Returns::Alias(_) => Some(self.returns.parts(krate).1),
        }
    }

    /// What the function needs, which is checked when the hub opens. Nothing if it needs nothing.
    pub(crate) fn needs(&self, krate: &CratePath) -> Option<TokenStream> {
        let private = quote!(#krate::__private);
        let mut needs = self
            .resources()
            .map(|ty| quote_spanned!(located(ty)=> <#ty as #private::ResourceParameter>::NEED,));
        let first = needs.next()?;
        Some(quote!(const RESOURCES: &'static [#private::ResourceNeed] = &[#first #(#needs)*];))
    }

    /// `fn run`, whose future is `Send` or not.
    pub(crate) fn run(&self, krate: &CratePath, context_type: &TokenStream, send: &TokenStream) -> TokenStream {
        // The names stand where the types stand, so that the error for a type that is only named like the context points there.
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

    /// Calls the user's function. The resources are taken first, and the context is given away after that.
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

/// A place of the user's, without the hygiene of a macro of the user's that its tokens may come from.
fn located(tokens: &impl Spanned) -> Span {
    Span::mixed_site().located_at(tokens.span())
}
