//! `#[activity]`.

mod attributes;
mod duration;
mod options;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;

use crate::errors::Errors;
use crate::function::{self, refused};
use crate::hygiene;
use crate::kind::Kind;
use attributes::Attributes;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let attributes = attributes::read(arguments, &mut errors);
    let Some(function) = function::parse(item.clone(), Kind::Activity, &mut errors) else {
        return errors.beside(item);
    };
    match implement(&function, &attributes, &mut errors) {
        Some(implementation) => errors.beside(quote!(#item #implementation)),
        None => refused::beside(item, &function, Kind::Activity, &attributes.crate_path, errors),
    }
}

/// Expands the marker and `impl Activity`. Returns `None` if the function cannot be an activity.
fn implement(item: &ItemFn, attributes: &Attributes, errors: &mut Errors) -> Option<TokenStream> {
    let errors_before = errors.count();
    check_blocking(item, attributes, errors);
    let function = function::read(item, Kind::Activity, attributes.name.as_ref(), errors);
    let function = function.filter(|_| errors.count() == errors_before)?;
    let krate = &attributes.crate_path;
    let (ident, name) = (&function.ident, &function.name);
    let options = options::expand(attributes);
    let types = function.associated_types(krate);
    let needs = function.needs(krate);
    let is_retriable = attributes.retry_if.as_ref().map(|condition| {
        let (error, decide) = (hygiene::local("error"), hygiene::local("decide"));
        quote! {
            fn is_retriable(#error: &Self::Error) -> ::core::primitive::bool {
                let #decide: fn(&Self::Error) -> ::core::primitive::bool = #condition;
                #decide(#error)
            }
        }
    });
    let run = function.run(krate, &quote!(#krate::ActivityContext), &quote!(+ ::core::marker::Send));
    let implementation = quote! {
        impl #krate::Activity for #ident {
            const NAME: &'static ::core::primitive::str = #name;
            const OPTIONS: #krate::activity::ActivityOptions = #options;
            #needs
            #types
            #is_retriable
            #run
        }
    };
    Some(function.with_marker(krate, &implementation))
}

/// Checks that `async` and `blocking` exclude each other, so that a forgotten `async` cannot block tokio's threads.
fn check_blocking(item: &ItemFn, attributes: &Attributes, errors: &mut Errors) {
    match (&item.sig.asyncness, attributes.is_blocking) {
        (None, false) => errors.push(
            item.sig.fn_token,
            "an activity must be an `async fn`; if it blocks its thread, with file access or a long computation, use a \
             plain `fn` with `#[activity(blocking)]`, which runs on a thread for blocking work",
        ),
        (Some(asyncness), true) => errors.push(
            asyncness,
            "an `async fn` waits without blocking its thread: remove `blocking`, or remove `async` to run it on a \
             thread for blocking work",
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::tests::{assert_same, errors};

    /// The complete expansion beside the function.
    #[test]
    fn the_function_comes_out_untouched_with_its_marker() {
        let item = quote! {
            /// Charges a card.
            #[cfg(unix)]
            #[deprecated]
            #[inline]
            pub(crate) async fn charge_card(ctx: ActivityContext, mut card: Card) -> Result<Receipt, Declined> { todo!() }
        };
        let arguments = quote! {
            name = "charge", timeout = "1m30s", limit = 8, crate = crate::framework,
            retry(max_attempts = 3, first_interval = "1s", backoff = 2, max_interval = "1m", timeout = "10m"),
        };
        let expected = quote! {
            #item

            #[cfg(unix)]
            #[deprecated]
            #[doc(hidden)]
            #[repr(C)]
            pub(crate) struct charge_card {}

            #[cfg(unix)]
            const _: () = {
                #[automatically_derived]
                #[allow(deprecated)]
                impl crate::framework::Activity for charge_card {
                    const NAME: &'static ::core::primitive::str = "charge";
                    const OPTIONS: crate::framework::activity::ActivityOptions = crate::framework::activity::ActivityOptions::new()
                        .timeout(::core::time::Duration::from_millis(90000u64))
                        .limit(8usize)
                        .retry(
                            crate::framework::RetryPolicy::new(3u32)
                                .first_interval(::core::time::Duration::from_millis(1000u64))
                                .backoff(2f64)
                                .max_interval(::core::time::Duration::from_millis(60000u64))
                                .timeout(::core::time::Duration::from_millis(600000u64))
                        );
                    type Input = Card;
                    type Output = Receipt;
                    type Error = Declined;

                    fn run(__abide_context: crate::framework::ActivityContext, __abide_input: Self::Input) -> ::core::pin::Pin<
                        ::std::boxed::Box<
                            dyn ::core::future::Future<
                                    Output = ::core::result::Result<Self::Output, Self::Error>
                                > + ::core::marker::Send + 'static
                        >
                    > {
                        ::std::boxed::Box::pin(async move { charge_card(__abide_context, __abide_input).await })
                    }
                }
            };
        };
        assert_same(&expand(arguments, item), &expected);
    }

    /// A blocking function is called without `.await`, and a return type other than `Result` is wrapped in one.
    #[test]
    fn the_call_fits_the_function() {
        for (arguments, item, call) in [
            (
                quote!(blocking),
                quote!(
                    fn a() {}
                ),
                quote!(::core::result::Result::Ok::<(), ::abide::NoError>(a())),
            ),
            (
                quote!(),
                quote!(
                    async fn a(_: ActivityContext) -> u8 {
                        1
                    }
                ),
                quote!(::core::result::Result::Ok::<u8, ::abide::NoError>(
                    a(__abide_context).await
                )),
            ),
            (
                quote!(),
                quote!(
                    async fn a(one: (u8, u8)) -> Result<u8> {
                        Ok(1)
                    }
                ),
                quote!(<Result<u8> as ::abide::__private::ResultType>::into_result(
                    a(__abide_input).await
                )),
            ),
        ] {
            let text = expand(arguments, item).to_string();
            assert!(text.contains(&call.to_string()), "{text}");
        }
    }

    /// Every invalid setting is reported, and none of them hides the next one or the marker.
    #[test]
    fn all_invalid_settings_are_reported_together() {
        let item = quote!(
            async fn a() {}
        );
        for (arguments, count) in [
            (quote!(name = ""), 1),
            (quote!(name, timeout = 30, limit = 0, limit = -1, limit = "8"), 5),
            (
                quote!(
                    timeout = "0s",
                    timeout = "5",
                    unknown(a = 1, b),
                    other = [1, 2],
                    version = "2"
                ),
                5,
            ),
            (quote!(name = "a", name = "b", max_attempts = 3, path::name = "a"), 3),
            (
                quote!(retry, retry(), retry(max_attempts = 0, backoff = 0.5, limit = 3)),
                5,
            ),
            (
                quote!(retry(
                    max_attempts = 3,
                    max_attempts = 4,
                    timeout = 1,
                    first_interval = true
                )),
                3,
            ),
            (
                quote!(retry(max_attempts = 3, first_interval = "2s", max_interval = "1s")),
                1,
            ),
            (quote!(= 3), 1),
        ] {
            let text = expand(arguments.clone(), item.clone()).to_string();
            assert_eq!(errors(&text), count, "{arguments}: {text}");
            assert!(text.contains("struct a"), "{text}");
        }
    }

    /// An invalid function is emitted unchanged, followed by every error, with a marker if there can be one.
    #[test]
    fn the_function_comes_out_beside_errors() {
        for (arguments, item, count, has_marker) in [
            (
                quote!(),
                quote!(
                    fn a() {}
                ),
                1,
                true,
            ),
            (
                quote!(blocking),
                quote!(
                    async fn a() {}
                ),
                1,
                true,
            ),
            (
                quote!(),
                quote!(
                    async fn a<'a, T: Clone>(input: &'a T) -> &'a str
                    where
                        T: Copy,
                    {
                        ""
                    }
                ),
                4,
                true,
            ),
            (
                quote!(),
                quote!(
                    async fn a(&self, one: u8, two: u8) {}
                ),
                2,
                false,
            ),
            (
                quote!(),
                quote!(
                    async fn a(one: u8, ctx: &ActivityContext) {}
                ),
                2,
                true,
            ),
            (
                quote!(),
                quote!(
                    async fn a(ctx: OrchestrationContext, other: &mut EntityContext) {}
                ),
                3,
                true,
            ),
            (
                quote!(),
                quote!(
                    async unsafe extern "C" fn a((b, c): (u8, u8), d: ...) -> impl Future {}
                ),
                5,
                true,
            ),
            (
                quote!(),
                quote!(
                    const fn a(_: Option<&str>, #[cfg(unix)] b: fn()) -> ! {}
                ),
                6,
                true,
            ),
            (
                quote!(),
                quote!(
                    #[abide::orchestration]
                    async fn a() {}
                ),
                1,
                false,
            ),
            (
                quote!(),
                quote!(
                    struct a;
                ),
                1,
                false,
            ),
            (quote!(), quote!(fn a), 1, false),
        ] {
            let text = expand(arguments, item.clone()).to_string();
            assert!(text.contains(&item.to_string()), "{text}");
            assert_eq!(text.contains("repr"), has_marker, "{text}");
            assert_eq!(errors(&text), count, "{text}");
        }
    }
}
