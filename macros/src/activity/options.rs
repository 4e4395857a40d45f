//! Expansion of `ActivityOptions`.

use std::time::Duration;

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::attributes::{Attributes, Retry};
use crate::crate_path::CratePath;

/// Expands the options as a constant expression.
pub(super) fn expand(attributes: &Attributes) -> TokenStream {
    let krate = &attributes.crate_path;
    let timeout = attributes.timeout.map(|timeout| setter("timeout", time(timeout)));
    let limit = attributes.limit.map(|limit| setter("limit", quote!(#limit)));
    let blocking = attributes.is_blocking.then(|| setter("blocking", TokenStream::new()));
    let retry = attributes
        .retry
        .as_ref()
        .map(|retry| setter("retry", policy(retry, krate)));
    quote!(#krate::activity::ActivityOptions::new()#timeout #limit #blocking #retry)
}

fn policy(retry: &Retry, krate: &CratePath) -> TokenStream {
    let max_attempts = retry.max_attempts;
    let first_interval = retry
        .first_interval
        .map(|interval| setter("first_interval", time(interval)));
    let backoff = retry.backoff.map(|coefficient| {
        let coefficient = Literal::f64_suffixed(coefficient);
        setter("backoff", quote!(#coefficient))
    });
    let max_interval = retry
        .max_interval
        .map(|interval| setter("max_interval", time(interval)));
    let timeout = retry.timeout.map(|timeout| setter("timeout", time(timeout)));
    quote!(#krate::RetryPolicy::new(#max_attempts)#first_interval #backoff #max_interval #timeout)
}

fn setter(name: &str, value: TokenStream) -> TokenStream {
    let name = quote::format_ident!("{name}");
    quote!(.#name(#value))
}

fn time(duration: Duration) -> TokenStream {
    // Attributes contain whole milliseconds that fit into 64 bits.
    let millis = duration.as_millis() as u64;
    quote!(::core::time::Duration::from_millis(#millis))
}
