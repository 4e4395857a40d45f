//! The expansion of an invalid function.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, ItemFn};

use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::kind::Kind;

/// Returns the user's item, the errors, and a marker. Because of the marker, an invalid function still counts as an
/// activity or an orchestration where it is called, so that the compiler reports only the actual errors.
///
/// One of the errors is in the marker's types, as the length of an array. The compiler reports nothing further about a
/// type that contains an error.
pub(crate) fn beside(
    item: impl ToTokens,
    function: &ItemFn,
    kind: Kind,
    krate: &CratePath,
    mut errors: Errors,
) -> TokenStream {
    if !can_have_marker(function) {
        return errors.beside(item);
    }
    let Some(error) = errors.take_last() else {
        return item.into_token_stream();
    };
    let error = error.into_compile_error();
    let (ident, visibility) = (&function.sig.ident, &function.vis);
    let is_cfg = |attribute: &&Attribute| attribute.path().is_ident("cfg");
    let cfgs: Vec<&Attribute> = function.attrs.iter().filter(is_cfg).collect();
    let (kind, context, future, constant) = match kind {
        Kind::Activity => (
            quote!(Activity),
            quote!(ActivityContext),
            quote!(activity::BoxFuture),
            quote!(const OPTIONS: #krate::activity::ActivityOptions = #krate::activity::ActivityOptions::new();),
        ),
        Kind::Operation | Kind::Orchestration => (
            quote!(Orchestration),
            quote!(OrchestrationContext),
            quote!(orchestration::LocalBoxFuture),
            quote!(
                const VERSION: &'static ::core::primitive::str = "";
            ),
        ),
    };
    let errors = errors.into_tokens();
    quote! {
        #item

        #errors

        #(#cfgs)*
        #[doc(hidden)]
        #[repr(C)]
        #visibility struct #ident {}

        #(#cfgs)*
        const _: () = {
            #[automatically_derived]
            impl #krate::#kind for #ident {
                const NAME: &'static ::core::primitive::str = "";
                #constant
                type Input = [(); #error];
                type Output = <Self as #krate::#kind>::Input;
                type Error = <Self as #krate::#kind>::Input;

                fn run(
                    _: #krate::#context,
                    _: Self::Input,
                ) -> #krate::#future<::core::result::Result<Self::Output, Self::Error>> {
                    loop {}
                }
            }
        };
    }
}

/// Returns whether the function can have a marker. A method cannot, and with a second attribute it gets that one's
/// marker.
fn can_have_marker(function: &ItemFn) -> bool {
    let is_second = |attribute: &Attribute| {
        let last = attribute.path().segments.last();
        last.is_some_and(|last| last.ident == "activity" || last.ident == "orchestration")
    };
    function.sig.receiver().is_none() && !function.attrs.iter().any(is_second)
}
