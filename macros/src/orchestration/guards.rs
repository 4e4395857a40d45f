//! `let _ = ctx.lock_entities(...).await?`: a guard that is dropped immediately.

use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprAssign, Ident, Local, Pat};

use crate::errors::Errors;

/// Rejects code that drops the guard of a critical section immediately.
pub(super) fn check(body: &Block, errors: &mut Errors) {
    Guards(errors).visit_block(body);
}

struct Guards<'a>(&'a mut Errors);

impl Guards<'_> {
    fn refuse(&mut self, lock: &Ident) {
        self.0.push(
            lock,
            "this locks nothing: `_` does not bind a value, so the guard is dropped immediately and the critical \
             section ends; name the guard, as in `let _guard = ctx.lock_entities(...).await?;`, and end the section \
             with `drop(guard)`",
        );
    }
}

impl<'ast> Visit<'ast> for Guards<'_> {
    fn visit_local(&mut self, node: &'ast Local) {
        visit::visit_local(self, node);
        if let Some(init) = &node.init
            && !binds(&node.pat)
            && let Some(lock) = lock_of(&init.expr)
        {
            self.refuse(lock);
        }
    }

    fn visit_expr_assign(&mut self, node: &'ast ExprAssign) {
        visit::visit_expr_assign(self, node);
        if matches!(*node.left, Expr::Infer(_))
            && let Some(lock) = lock_of(&node.right)
        {
            self.refuse(lock);
        }
    }
}

/// Returns whether a pattern binds a name.
fn binds(pattern: &Pat) -> bool {
    struct Names(bool);
    impl<'ast> Visit<'ast> for Names {
        fn visit_pat_ident(&mut self, _: &'ast syn::PatIdent) {
            self.0 = true;
        }
    }
    let mut names = Names(false);
    names.visit_pat(pattern);
    names.0
}

/// Returns the name `lock_entities` if an expression evaluates to its guard.
fn lock_of(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::MethodCall(call) if call.method == "lock_entities" => Some(&call.method),
        Expr::MethodCall(call) if call.method == "unwrap" || call.method == "expect" => lock_of(&call.receiver),
        Expr::Await(wait) => lock_of(&wait.base),
        Expr::Try(tried) => lock_of(&tried.expr),
        Expr::Paren(inner) => lock_of(&inner.expr),
        Expr::Group(inner) => lock_of(&inner.expr),
        _ => None,
    }
}
