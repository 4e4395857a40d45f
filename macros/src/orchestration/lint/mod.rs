//! The determinism lint: what a body says that a replay would do otherwise.
//!
//! It knows names, not types, so it sees what is spelled in the body and nothing behind a function of the user's. It is the
//! first of three nets: a wait for anything that the history does not know, and a step that a replay asks for otherwise,
//! are found at run time.

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

/// Refuses what would be different in a replay.
pub(super) fn check(function: &ItemFn, errors: &mut Errors) {
    for attribute in &function.attrs {
        if escape::allows(attribute) {
            errors.push(
                attribute,
                "this covers one statement, so that the next one is still looked at: put it there, and say beside it why \
                 the statement is harmless",
            );
        }
    }
    let mut lint = Lint::default();
    lint.visit_block(&function.block);
    let mut findings = lint.findings.into_iter();
    if let Some(first) = findings.next() {
        let escape =
            "where it can change nothing that is recorded, `#[allow(nondeterminism)]` on the statement lets it pass";
        errors.push(&first.tokens, format!("{}; {escape}", first.message));
    }
    for finding in findings {
        errors.push(&finding.tokens, finding.message);
    }
}

/// Collects what it finds.
#[derive(Default)]
struct Lint {
    /// Whether an enclosing statement lets everything pass.
    allowed: bool,
    findings: Vec<Finding>,
}

/// One place that a replay would run through otherwise.
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
