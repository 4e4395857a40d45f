//! Detection of `.await` in synchronous operations.

use syn::visit::{self, Visit};
use syn::{Block, ExprAsync, ExprAwait, ExprClosure, Item};

use crate::errors::Errors;

/// Rejects `.await` in the body of a synchronous operation.
pub(super) fn refuse(body: &Block, errors: &mut Errors) {
    Awaits(errors).visit_block(body);
}

struct Awaits<'a>(&'a mut Errors);

impl<'ast> Visit<'ast> for Awaits<'_> {
    fn visit_expr_await(&mut self, node: &'ast ExprAwait) {
        self.0.push(
            node.await_token,
            "a synchronous operation runs within the turn and cannot wait; \
             to notify another entity, send a one-way message with `.signal()`; \
             to perform I/O, make this an `async fn`, which runs outside the turn on a copy of the state; \
             to wait for an entity, use an orchestration",
        );
        visit::visit_expr_await(self, node);
    }

    // An `async` block may wait.
    fn visit_expr_async(&mut self, _: &'ast ExprAsync) {}

    fn visit_expr_closure(&mut self, node: &'ast ExprClosure) {
        if node.asyncness.is_none() {
            visit::visit_expr_closure(self, node);
        }
    }

    fn visit_item(&mut self, _: &'ast Item) {}
}
