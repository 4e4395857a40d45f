//! The determinism lint: it detects code in the body that would diverge in a replay.
//!
//! It knows names, not types, so it checks only the code in the body and not the functions that the body calls. It is
//! the first of three safeguards. The runtime provides the others: it detects a wait for anything outside the history,
//! and a step that differs in a replay.

mod escape;
mod macros;
mod paths;
#[cfg(test)]
mod tests;
mod visitor;

pub(super) use escape::strip;

use proc_macro2::TokenStream;
use syn::ItemFn;
use syn::visit::Visit;

use crate::errors::Errors;

/// Rejects code that would diverge in a replay.
pub(super) fn check(function: &ItemFn, errors: &mut Errors) {
    for attribute in &function.attrs {
        if escape::allows(attribute) {
            errors.push(
                attribute,
                "this attribute covers a single statement, so that the lint still checks the next one: put it on that \
                 statement, and explain there why the statement is harmless",
            );
        }
    }
    let mut lint = Lint::default();
    lint.visit_block(&function.block);
    let mut findings = lint.findings.into_iter();
    if let Some(first) = findings.next() {
        let escape =
            "if it cannot affect anything that is recorded, allow it with `#[allow(nondeterminism)]` on the statement";
        errors.push(&first.tokens, format!("{}; {escape}", first.message));
    }
    for finding in findings {
        errors.push(&finding.tokens, finding.message);
    }
}

/// The walk that collects the findings.
#[derive(Default)]
struct Lint {
    /// `true` if an enclosing statement allows everything.
    allowed: bool,
    findings: Vec<Finding>,
}

/// One place that would diverge in a replay.
struct Finding {
    tokens: TokenStream,
    message: String,
}

impl Lint {
    fn push(&mut self, tokens: TokenStream, message: String) {
        if !self.allowed {
            self.findings.push(Finding { tokens, message });
        }
    }
}
