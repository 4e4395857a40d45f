//! The settings in `#[activity(...)]` and `#[orchestration(...)]`.

use proc_macro2::{TokenStream, TokenTree};
use syn::meta::ParseNestedMeta;
use syn::parse::{ParseStream, Parser};
use syn::{LitStr, Token};

use crate::errors::Errors;
use crate::kind::Kind;
use crate::names;

/// Reads a list of settings. An error in one setting does not hide errors in the next.
pub(crate) fn read(
    arguments: TokenStream,
    errors: &mut Errors,
    mut one: impl FnMut(&ParseNestedMeta<'_>, &mut Errors) -> syn::Result<()>,
) {
    let parser = syn::meta::parser(|meta| recover(&meta, errors, &mut one));
    if let Err(error) = parser.parse2(arguments) {
        errors.add(error);
    }
}

/// Reads the list in the parentheses of one setting. `meta` is at its name.
pub(crate) fn read_nested(
    meta: &ParseNestedMeta<'_>,
    errors: &mut Errors,
    mut one: impl FnMut(&ParseNestedMeta<'_>, &mut Errors) -> syn::Result<()>,
) -> syn::Result<()> {
    meta.parse_nested_meta(|meta| recover(&meta, errors, &mut one))
}

fn recover(
    meta: &ParseNestedMeta<'_>,
    errors: &mut Errors,
    one: &mut impl FnMut(&ParseNestedMeta<'_>, &mut Errors) -> syn::Result<()>,
) -> syn::Result<()> {
    if let Err(error) = one(meta, errors) {
        errors.add(error);
        skip(meta.input)?;
    }
    Ok(())
}

/// Skips to the comma before the next setting.
fn skip(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

/// Stores a value. `meta` is after it.
pub(crate) fn set<T>(slot: &mut Option<T>, value: T, name: &str, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    match slot.replace(value) {
        Some(_) => Err(meta.error(format!("`{name}` is set twice"))),
        None => Ok(()),
    }
}

/// Reads `name = "..."`. `meta` is at `name`.
pub(crate) fn name(slot: &mut Option<LitStr>, kind: Kind, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
    let name: LitStr = meta.value()?.parse()?;
    names::check(&name, kind)?;
    set(slot, name, "name", meta)
}
