//! `#[activity(...)]`.

use std::time::Duration;

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::token::Paren;
use syn::{Expr, Lit, LitStr};

use super::duration;
use crate::crate_path::CratePath;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::settings;

/// The settings in the attribute.
#[derive(Default)]
pub(super) struct Attributes {
    pub(super) name: Option<LitStr>,
    pub(super) timeout: Option<Duration>,
    pub(super) limit: Option<usize>,
    pub(super) is_blocking: bool,
    pub(super) retry: Option<Retry>,
    /// Selects the errors that are worth another attempt.
    pub(super) retry_if: Option<Expr>,
    pub(super) crate_path: CratePath,
}

/// The settings in `retry(...)`.
pub(super) struct Retry {
    pub(super) max_attempts: u32,
    pub(super) first_interval: Option<Duration>,
    pub(super) backoff: Option<f64>,
    pub(super) max_interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
}

pub(super) fn read(arguments: TokenStream, errors: &mut Errors) -> Attributes {
    let mut found = Attributes::default();
    let mut blocking = None;
    settings::read(arguments, errors, |meta, errors| {
        let Some(name) = meta.path.get_ident().map(ToString::to_string) else {
            return Err(unknown(meta));
        };
        match name.as_str() {
            "name" => settings::name(&mut found.name, Kind::Activity, meta),
            "timeout" => settings::set(&mut found.timeout, some_time(meta)?, "timeout", meta),
            "limit" => settings::set(&mut found.limit, number(meta, "limit")?, "limit", meta),
            "blocking" => settings::set(&mut blocking, (), "blocking", meta),
            "retry" => {
                if let Some(retry) = retry(meta, errors)? {
                    settings::set(&mut found.retry, retry, "retry", meta)?;
                }
                Ok(())
            }
            "retry_if" => settings::set(&mut found.retry_if, meta.value()?.parse()?, "retry_if", meta),
            "crate" => found.crate_path.parse(meta),
            "version" => {
                Err(meta
                    .error("an activity has no version: put changed behavior into a new function, or set a new `name`"))
            }
            "max_attempts" => Err(meta.error("`max_attempts` belongs in `retry(...)`: `retry(max_attempts = 3)`")),
            "first_interval" | "backoff" | "max_interval" => Err(meta.error(format!(
                "`{name}` belongs in `retry(...)`: `retry(max_attempts = 3, {name} = ...)`"
            ))),
            _ => Err(unknown(meta)),
        }
    });
    found.is_blocking = blocking.is_some();
    found
}

fn unknown(meta: &ParseNestedMeta<'_>) -> syn::Error {
    meta.error(
        "unknown attribute; `#[activity(...)]` takes `name = \"...\"`, `timeout = \"30s\"`, `limit = 8`, `blocking`, \
         `retry(max_attempts = 3, ...)`, `retry_if = path` and `crate = path`",
    )
}

/// Reads `retry(...)`. Returns `None` if a part of it is invalid.
fn retry(meta: &ParseNestedMeta<'_>, errors: &mut Errors) -> syn::Result<Option<Retry>> {
    if !meta.input.peek(Paren) {
        return Err(meta.error("`retry` needs a retry policy: `retry(max_attempts = 3, first_interval = \"1s\")`"));
    }
    let (mut max_attempts, mut first_interval, mut backoff) = (None, None, None);
    let (mut max_interval, mut timeout) = (None, None);
    let errors_before = errors.count();
    settings::read_nested(meta, errors, |meta, _| {
        let name = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match name.as_str() {
            "max_attempts" => settings::set(&mut max_attempts, number(meta, "max_attempts")?, "max_attempts", meta),
            "first_interval" => settings::set(&mut first_interval, time(meta)?, "first_interval", meta),
            "backoff" => settings::set(&mut backoff, coefficient(meta)?, "backoff", meta),
            "max_interval" => settings::set(&mut max_interval, some_time(meta)?, "max_interval", meta),
            "timeout" => settings::set(&mut timeout, some_time(meta)?, "timeout", meta),
            _ => Err(meta.error(
                "unknown attribute; `retry(...)` takes `max_attempts = 3`, `first_interval = \"1s\"`, `backoff = 2.0`, \
                 `max_interval = \"1m\"` and `timeout = \"10m\"`",
            )),
        }
    })?;
    if errors.count() > errors_before {
        return Ok(None);
    }
    let Some(max_attempts) = max_attempts else {
        errors.push(
            &meta.path,
            "`retry(...)` needs `max_attempts`: the total number of attempts, including the first",
        );
        return Ok(None);
    };
    if let (Some(first), Some(max)) = (first_interval, max_interval)
        && first > max
    {
        errors.push(
            &meta.path,
            "`first_interval` must not be longer than `max_interval`, because no wait would use it",
        );
    }
    Ok(Some(Retry {
        max_attempts,
        first_interval,
        backoff,
        max_interval,
        timeout,
    }))
}

/// Reads a duration. `meta` is at its name.
fn time(meta: &ParseNestedMeta<'_>) -> syn::Result<Duration> {
    match meta.value()?.parse()? {
        Lit::Str(text) => duration::parse(&text.value()).map_err(|reason| syn::Error::new(text.span(), reason)),
        Lit::Int(number) => {
            let text = format!("a duration is a string with a unit: \"{number}s\" for {number} seconds");
            Err(syn::Error::new(number.span(), text))
        }
        other => Err(syn::Error::new(
            other.span(),
            "a duration is a string with a unit: \"30s\"",
        )),
    }
}

/// Reads a duration and rejects zero.
fn some_time(meta: &ParseNestedMeta<'_>) -> syn::Result<Duration> {
    let time = time(meta)?;
    if time.is_zero() {
        return Err(meta.error("this duration must not be zero; omit it for no limit"));
    }
    Ok(time)
}

/// Reads a whole number and rejects zero.
fn number<N: std::str::FromStr + Default + PartialEq>(meta: &ParseNestedMeta<'_>, name: &str) -> syn::Result<N> {
    let literal: Lit = meta.value()?.parse()?;
    let value = match &literal {
        Lit::Int(number) => number.base10_digits().parse().ok(),
        _ => None,
    };
    match value {
        Some(value) if value != N::default() => Ok(value),
        _ => Err(syn::Error::new(
            literal.span(),
            format!("`{name}` must be a whole number of at least 1: `{name} = 3`"),
        )),
    }
}

/// Reads the coefficient of a backoff.
fn coefficient(meta: &ParseNestedMeta<'_>) -> syn::Result<f64> {
    let literal: Lit = meta.value()?.parse()?;
    let value: Option<f64> = match &literal {
        Lit::Float(number) => number.base10_digits().parse().ok(),
        Lit::Int(number) => number.base10_digits().parse().ok(),
        _ => None,
    };
    match value {
        Some(value) if value >= 1.0 && value.is_finite() => Ok(value),
        _ => Err(syn::Error::new(
            literal.span(),
            "`backoff` must be a number of at least 1, the factor from each wait to the next: `backoff = 2.0`",
        )),
    }
}
