//! `#[allow(nondeterminism)]`: it has the form of an attribute that allows a lint of the compiler, may have a `reason`,
//! and works wherever an attribute is valid. The compiler does not know the name of the lint, so the macro removes it.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, ItemFn, Macro, Meta, Token};

const LINT: &str = "nondeterminism";

/// Returns whether an attribute allows the lint.
pub(super) fn allows(attribute: &Attribute) -> bool {
    without(&attribute.meta).is_some()
}

/// Returns whether the tokens of a statement begin with such an attribute. The parser assigns the attributes of
/// `#[allow(...)] a = b;` to `a`.
pub(super) fn begins(statement: &impl ToTokens) -> bool {
    let mut tokens = statement.to_token_stream().into_iter();
    while let (Some(TokenTree::Punct(pound)), Some(TokenTree::Group(group))) = (tokens.next(), tokens.next()) {
        if pound.as_char() != '#' {
            return false;
        }
        if group_allows(&group) {
            return true;
        }
    }
    false
}

/// Returns whether the brackets after a `#` allow the lint.
pub(super) fn group_allows(group: &Group) -> bool {
    group_without(group).is_some()
}

fn group_without(group: &Group) -> Option<Option<Meta>> {
    if group.delimiter() != Delimiter::Bracket {
        return None;
    }
    without(&syn::parse2(group.stream()).ok()?)
}

/// Returns the rest of an `allow` without this lint, or `None` if the `allow` does not contain the lint.
fn without(meta: &Meta) -> Option<Option<Meta>> {
    let Meta::List(list) = meta else { return None };
    if !list.path.is_ident("allow") {
        return None;
    }
    let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
    let entries = parser.parse2(list.tokens.clone()).ok()?;
    let (own, others): (Vec<Meta>, Vec<Meta>) = entries.into_iter().partition(|entry| entry.path().is_ident(LINT));
    if own.is_empty() {
        return None;
    }
    let is_lint = |entry: &Meta| matches!(entry, Meta::Path(_));
    if !others.iter().any(is_lint) {
        return Some(None);
    }
    let mut list = list.clone();
    list.tokens = quote!(#(#others),*);
    Some(Some(Meta::List(list)))
}

/// Removes the attribute from a function, including the tokens of macro invocations.
pub(in crate::orchestration) fn strip(function: &mut ItemFn) {
    Strip.visit_item_fn_mut(function);
}

struct Strip;

impl VisitMut for Strip {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        attributes.retain_mut(|attribute| match without(&attribute.meta) {
            None => true,
            Some(None) => false,
            Some(Some(rest)) => {
                attribute.meta = rest;
                true
            }
        });
    }

    fn visit_macro_mut(&mut self, node: &mut Macro) {
        if let Some(tokens) = stripped(&node.tokens) {
            node.tokens = tokens;
        }
        visit_mut::visit_macro_mut(self, node);
    }
}

/// Returns the tokens without the attribute, or `None` if they do not contain it and stay unchanged.
fn stripped(tokens: &TokenStream) -> Option<TokenStream> {
    let mut has_changed = false;
    let mut kept: Vec<TokenTree> = Vec::new();
    for tree in tokens.clone() {
        let TokenTree::Group(group) = &tree else {
            kept.push(tree);
            continue;
        };
        let is_attribute = matches!(kept.last(), Some(TokenTree::Punct(pound)) if pound.as_char() == '#');
        let rest = group_without(group).filter(|_| is_attribute);
        let stream = match rest {
            Some(None) => {
                kept.pop();
                has_changed = true;
                continue;
            }
            Some(Some(rest)) => Some(rest.to_token_stream()),
            None => stripped(&group.stream()),
        };
        if let Some(stream) = stream {
            let mut new = Group::new(group.delimiter(), stream);
            new.set_span(group.span());
            kept.push(TokenTree::Group(new));
            has_changed = true;
        } else {
            kept.push(tree);
        }
    }
    has_changed.then(|| kept.into_iter().collect())
}
