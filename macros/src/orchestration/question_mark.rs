//! `?` after a call of an activity or of a sub-orchestration.
//!
//! `?` needs an impl of `From`, and the compiler only reports that it is missing. The macro therefore checks each such
//! `?` again beside the function, with a trait whose error names the solution.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::quote;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprAsync, ExprClosure, ExprMethodCall, ExprTry, FnArg, GenericArgument, Ident, Item, ItemFn, Pat,
    Token, Type,
};

use crate::crate_path::CratePath;
use crate::types;

/// Expands the checks for a function with the error type `error`.
pub(super) fn check(function: &ItemFn, error: &TokenStream, krate: &CratePath) -> Option<TokenStream> {
    let context = function.sig.inputs.iter().find_map(|input| match input {
        FnArg::Typed(input) if types::is_named(&input.ty, "OrchestrationContext") => match &*input.pat {
            Pat::Ident(pattern) => Some(&pattern.ident),
            _ => None,
        },
        _ => None,
    })?;
    let mut calls = Calls {
        context,
        found: Vec::new(),
        is_local: false,
    };
    calls.visit_block(&function.block);
    if calls.found.is_empty() || calls.is_local {
        return None;
    }
    let checks = calls.found.iter().map(|call| {
        let called = call.called;
        // The type has the span of the `?`, so that the error for a missing conversion points there.
        let error = located(error.clone(), call.question_mark.span());
        match call.is_activity {
            true => quote!(#krate::__private::activity_question_mark::<#error, #called>();),
            false => quote!(#krate::__private::orchestration_question_mark::<#error, #called>();),
        }
    });
    let cfgs = function
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    Some(quote! {
        #(#cfgs)*
        const _: fn() = || { #(#checks)* };
    })
}

/// Returns the same tokens with their own hygiene and another location.
fn located(tokens: TokenStream, place: Span) -> TokenStream {
    let located = |mut token: TokenTree| {
        if let TokenTree::Group(group) = &token {
            token = Group::new(group.delimiter(), located(group.stream(), place)).into();
        }
        token.set_span(token.span().located_at(place));
        token
    };
    tokens.into_iter().map(located).collect()
}

struct Calls<'ast> {
    context: &'ast Ident,
    found: Vec<Call<'ast>>,
    /// `true` if the body has its own items or `cfg`s, so that its types may differ outside of it.
    is_local: bool,
}

struct Call<'ast> {
    is_activity: bool,
    called: &'ast Type,
    question_mark: Token![?],
}

impl<'ast> Calls<'ast> {
    /// Returns the call at the root of a chain: `ctx.call_activity::<charge>(card)` of `….retry(policy).await?`.
    fn root(&self, expression: &'ast Expr) -> Option<&'ast ExprMethodCall> {
        let Expr::MethodCall(call) = expression else {
            return None;
        };
        match &*call.receiver {
            Expr::Path(path) if path.path.is_ident(self.context) => Some(call),
            receiver => self.root(receiver),
        }
    }

    fn call(&self, node: &'ast ExprTry) -> Option<Call<'ast>> {
        let Expr::Await(awaited) = &*node.expr else { return None };
        let call = self.root(&awaited.base)?;
        let is_activity = call.method == "call_activity";
        if !is_activity && call.method != "call_sub_orchestration" {
            return None;
        }
        match call.turbofish.as_ref()?.args.first()? {
            GenericArgument::Type(called) => Some(Call {
                is_activity,
                called,
                question_mark: node.question_token,
            }),
            _ => None,
        }
    }
}

impl<'ast> Visit<'ast> for Calls<'ast> {
    fn visit_expr_try(&mut self, node: &'ast ExprTry) {
        self.found.extend(self.call(node));
        visit::visit_expr_try(self, node);
    }

    // A `?` in them returns from them, not from the orchestration.
    fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}
    fn visit_expr_closure(&mut self, _: &'ast ExprClosure) {}

    fn visit_item(&mut self, _: &'ast Item) {
        self.is_local = true;
    }

    fn visit_attribute(&mut self, node: &'ast Attribute) {
        self.is_local |= node.path().is_ident("cfg");
    }
}
