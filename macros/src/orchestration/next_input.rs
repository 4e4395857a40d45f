//! The input of `ctx.continue_as_new(input).await`, which must have the type of the orchestration's input.

use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprAwait, ExprMethodCall, Item, ItemFn, Type};

use crate::crate_path::CratePath;

/// Wraps the next input in a function that requires its type. If the future is stored in a variable or a version is
/// set, the input may be that of another version. It is then checked when the future is awaited.
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

    // An item is not part of this orchestration.
    fn visit_item_mut(&mut self, _: &mut Item) {}
}

/// Returns the argument of `continue_as_new`, with or without a following `discard_events`.
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
