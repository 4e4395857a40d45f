//! The input of `ctx.continue_as_new(input).await`: it has the type that the orchestration takes.

use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprAwait, ExprMethodCall, Item, ItemFn, Type};

use crate::crate_path::CratePath;

/// Passes what the function continues with through a function that wants its type. Where the future is kept in a variable, or
/// a version is named, the input may be one of another version: that is checked when it is awaited.
pub(super) fn check(function: &mut ItemFn, krate: &CratePath, input: &Type) {
    Inputs { krate, input }.visit_block_mut(&mut function.block);
}

struct Inputs<'a> {
    krate: &'a CratePath,
    input: &'a Type,
}

impl VisitMut for Inputs<'_> {
    fn visit_expr_await_mut(&mut self, node: &mut ExprAwait) {
        visit_mut::visit_expr_await_mut(self, node);
        if let Some(argument) = next_of(&mut node.base) {
            let (krate, input) = (self.krate, self.input);
            let check = quote_spanned!(argument.span()=> #krate::__private::next_input::<#input, _>);
            *argument = syn::parse_quote!(#check(#argument));
        }
    }

    // What stands in it is no part of this orchestration.
    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// The argument of `continue_as_new`, with `discard_events` behind it or without.
fn next_of(expression: &mut Expr) -> Option<&mut Expr> {
    let Expr::MethodCall(ExprMethodCall {
        receiver, method, args, ..
    }) = expression
    else {
        return None;
    };
    if method == "discard_events" && args.is_empty() {
        return next_of(receiver);
    }
    if method == "continue_as_new" && args.len() == 1 {
        return args.first_mut();
    }
    None
}
