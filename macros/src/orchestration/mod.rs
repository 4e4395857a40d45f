//! `#[orchestration]`.

mod attributes;
mod guards;
mod lint;
mod next_input;
mod question_mark;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;

use crate::errors::Errors;
use crate::function::{self, Function, refused};
use crate::kind::Kind;
use attributes::Attributes;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let attributes = attributes::read(arguments, &mut errors);
    let Some(mut function) = function::parse(item.clone(), Kind::Orchestration, &mut errors) else {
        return errors.beside(item);
    };
    let krate = &attributes.crate_path;
    let read = read(&function, &attributes, &mut errors);
    let implementation = read.as_ref().map(|function| implement(function, &attributes));
    lint::check(&function, &mut errors);
    guards::check(&function.block, &mut errors);
    let error = read.as_ref().and_then(|read| read.error(krate));
    let question_marks = error.and_then(|error| question_mark::check(&function, &error, krate));
    lint::strip(&mut function);
    match (read, implementation) {
        (Some(read), Some(implementation)) => {
            next_input::check(&mut function, krate, &read.input());
            errors.beside(quote!(#function #implementation #question_marks))
        }
        _ => refused::beside(&function, &function, Kind::Orchestration, krate, errors),
    }
}

/// Reads the function. Returns `None` if it cannot be an orchestration.
fn read(item: &ItemFn, attributes: &Attributes, errors: &mut Errors) -> Option<Function> {
    let errors_before = errors.count();
    if item.sig.asyncness.is_none() {
        errors.push(
            item.sig.fn_token,
            "an orchestration must be an `async fn`, because it awaits its calls",
        );
    }
    let function = function::read(item, Kind::Orchestration, attributes.name.as_ref(), errors);
    if function.as_ref().is_some_and(|function| !function.has_context()) {
        errors.push(
            &item.sig.ident,
            "an orchestration must take its context as the first parameter, `ctx: OrchestrationContext`: without it, \
             it can neither call nor wait for anything",
        );
    }
    function.filter(|_| errors.count() == errors_before)
}

/// Expands the marker and `impl Orchestration`.
fn implement(function: &Function, attributes: &Attributes) -> TokenStream {
    let krate = &attributes.crate_path;
    let (ident, name) = (&function.ident, &function.name);
    let version = attributes.version.as_ref().map_or_else(String::new, syn::LitStr::value);
    let types = function.associated_types(krate);
    let run = function.run(krate, &quote!(#krate::OrchestrationContext), &TokenStream::new());
    let implementation = quote! {
        impl #krate::Orchestration for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            const VERSION: &'static ::core::primitive::str = #version;
            #types
            #run
        }
    };
    function.with_marker(krate, &implementation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::tests::{assert_same, errors};

    /// The complete expansion beside the function.
    #[test]
    fn the_function_comes_out_with_its_marker() {
        let item = quote! {
            /// Moves money.
            pub async fn r#move(ctx: OrchestrationContext) -> u8 { ctx.call_activity::<charge>(1).await }
        };
        let expected = quote! {
            #item

            #[doc(hidden)]
            #[repr(C)]
            pub struct r#move {}

            const _: () = {
                #[automatically_derived]
                impl ::abide::Orchestration for r#move {
                    const NAME: &'static ::core::primitive::str = "move";
                    const VERSION: &'static ::core::primitive::str = "2";
                    type Input = ();
                    type Output = u8;
                    type Error = ::abide::NoError;

                    fn run(__abide_context: ::abide::OrchestrationContext, __abide_input: Self::Input) -> ::core::pin::Pin<
                        ::std::boxed::Box<
                            dyn ::core::future::Future<
                                    Output = ::core::result::Result<Self::Output, Self::Error>
                                > + 'static
                        >
                    > {
                        ::std::boxed::Box::pin(async move {
                            ::core::result::Result::Ok::<u8, ::abide::NoError>(r#move(__abide_context).await)
                        })
                    }
                }
            };

            const _: () = {
                #[allow(unused_imports)]
                use ::abide::__private::IsNoResult as _;
                ::core::assert!(
                    !::abide::__private::IsResult::<u8>::__ABIDE_IS_RESULT,
                    "this return type is a `Result` behind an alias with another name, so an `Err` in it would count as a success: name the alias `Result`, or write the `Result` out"
                );
            };
        };
        assert_same(&expand(quote!(version = "2"), item), &expected);
    }

    /// Every invalid setting is reported. The errors for settings of activities name the right place.
    #[test]
    fn all_invalid_settings_are_reported_together() {
        let item = quote!(
            async fn o(ctx: OrchestrationContext) {}
        );
        for (arguments, count) in [
            (quote!(name = "a/b", version = "", version = 2), 3),
            (
                quote!(
                    retry(max_attempts = 3),
                    timeout = "3s",
                    limit = 3,
                    blocking,
                    allow(nondeterminism)
                ),
                5,
            ),
            (quote!(version = "1", version = "2", unknown), 2),
        ] {
            let text = expand(arguments.clone(), item.clone()).to_string();
            assert_eq!(errors(&text), count, "{arguments}: {text}");
            assert!(text.contains("struct o"), "{text}");
        }
    }

    /// An invalid function is emitted, with a marker if there can be one, so that no other code fails to find it.
    #[test]
    fn the_function_comes_out_beside_errors() {
        for (item, count, has_marker) in [
            (
                quote!(
                    fn o(ctx: OrchestrationContext) {}
                ),
                1,
                true,
            ),
            (
                quote!(
                    async fn o() {}
                ),
                1,
                true,
            ),
            (
                quote!(
                    async fn o(input: u8) {
                        tokio::spawn(input);
                    }
                ),
                2,
                true,
            ),
            (
                quote!(
                    async fn o(ctx: ActivityContext) {}
                ),
                1,
                true,
            ),
            (
                quote!(
                    async fn o(ctx: OrchestrationContext, a: u8, b: u8) {}
                ),
                1,
                true,
            ),
            (
                quote!(
                    #[activity]
                    async fn o(ctx: OrchestrationContext) {}
                ),
                1,
                false,
            ),
            (
                quote!(
                    async fn o(ctx: OrchestrationContext) {
                        rand::random();
                        sleep(1)
                    }
                ),
                2,
                true,
            ),
            (
                quote!(
                    const O: u8 = 1;
                ),
                1,
                false,
            ),
        ] {
            let text = expand(TokenStream::new(), item.clone()).to_string();
            assert!(text.contains(&item.to_string()), "{text}");
            assert_eq!(text.contains("repr"), has_marker, "{text}");
            assert_eq!(errors(&text), count, "{text}");
        }
    }

    /// The lint cannot be turned off for a whole function.
    #[test]
    fn a_whole_function_is_never_allowed() {
        let item = quote!(
            #[allow(nondeterminism)]
            async fn o(ctx: OrchestrationContext) {
                sleep(1)
            }
        );
        let text = expand(TokenStream::new(), item).to_string();
        assert_eq!(errors(&text), 2, "{text}");
        assert!(!text.contains("allow (nondeterminism)] async"), "{text}");
    }
}
