//! `ctx.resource::<T>()` in a synchronous operation.

use syn::visit::{self, Visit};
use syn::{Block, Expr, ExprMethodCall, FnArg, Ident, Item, Pat, Signature, Type};

use super::SYNCHRONOUS;
use crate::errors::Errors;
use crate::types;

/// Rejects the use of resources in the body of a synchronous operation, whose context has the same type as that of an
/// `async` operation.
pub(crate) fn refuse(signature: &Signature, body: &Block, errors: &mut Errors) {
    let context = signature.inputs.iter().find_map(|input| match input {
        FnArg::Typed(input) => match (types::ungrouped(&input.ty), &*input.pat) {
            (Type::Reference(reference), Pat::Ident(pattern)) if types::is_named(&reference.elem, "EntityContext") => {
                Some(&pattern.ident)
            }
            _ => None,
        },
        FnArg::Receiver(_) => None,
    });
    if let Some(context) = context {
        Uses { context, errors }.visit_block(body);
    }
}

struct Uses<'a> {
    context: &'a Ident,
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_expr_method_call(&mut self, node: &'ast ExprMethodCall) {
        let is_context = matches!(&*node.receiver, Expr::Path(path) if path.path.is_ident(self.context));
        if is_context && node.method == "resource" {
            self.errors.push(&node.method, SYNCHRONOUS);
        }
        visit::visit_expr_method_call(self, node);
    }

    fn visit_item(&mut self, _: &'ast Item) {}
}
