//! The walk through a body.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, Expr, ExprCall, ExprMethodCall, ExprPath, ExprStruct, FieldValue, Ident, Item, ItemUse, Local,
    Macro, Path, Stmt, StmtMacro, Type, UseTree,
};

use super::{Lint, escape, paths};

impl Lint {
    /// Walks a node that may have attributes. An attribute applies only within its node.
    fn scoped(&mut self, walk: impl FnOnce(&mut Self)) {
        let before = self.allowed;
        walk(self);
        self.allowed = before;
    }

    /// Checks a path that is used as a value.
    pub(super) fn path(&mut self, segments: &[String], tokens: impl ToTokens) {
        if let Some(advice) = paths::judge(segments) {
            self.push(tokens.to_token_stream(), format!("`{}` {advice}", segments.join("::")));
        }
    }

    /// Checks a single name that is called.
    pub(super) fn call(&mut self, name: &Ident) {
        if let Some(advice) = paths::judge_call(&name.unraw().to_string()) {
            self.push(name.to_token_stream(), format!("`{name}()` {advice}"));
        }
    }

    /// Checks the name of a method that is called without arguments.
    pub(super) fn method(&mut self, name: &Ident) {
        if let Some(advice) = paths::judge_method(&name.unraw().to_string()) {
            self.push(name.to_token_stream(), format!("`{name}()` {advice}"));
        }
    }

    fn imports(&mut self, tree: &UseTree, prefix: &mut Vec<String>) {
        let (name, tokens): (&Ident, TokenStream) = match tree {
            UseTree::Path(path) => {
                prefix.push(path.ident.unraw().to_string());
                self.imports(&path.tree, prefix);
                prefix.pop();
                return;
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.imports(tree, prefix);
                }
                return;
            }
            UseTree::Glob(glob) => {
                prefix.push("*".to_owned());
                self.path(prefix, glob);
                prefix.pop();
                return;
            }
            UseTree::Name(name) => (&name.ident, name.to_token_stream()),
            UseTree::Rename(rename) => (&rename.ident, rename.to_token_stream()),
        };
        prefix.push(name.unraw().to_string());
        self.path(prefix, tokens);
        prefix.pop();
    }
}

/// Returns the names of a path, without generics.
pub(super) fn segments(path: &Path) -> Vec<String> {
    path.segments
        .iter()
        .map(|segment| segment.ident.unraw().to_string())
        .collect()
}

impl<'ast> Visit<'ast> for Lint {
    // Attributes are visited before the node that they belong to.
    fn visit_attribute(&mut self, node: &'ast Attribute) {
        self.allowed |= escape::allows(node);
    }

    fn visit_stmt(&mut self, node: &'ast Stmt) {
        self.scoped(|lint| {
            lint.allowed |= escape::begins(node);
            visit::visit_stmt(lint, node);
        });
    }

    fn visit_local(&mut self, node: &'ast Local) {
        self.scoped(|lint| visit::visit_local(lint, node));
    }

    fn visit_stmt_macro(&mut self, node: &'ast StmtMacro) {
        self.scoped(|lint| visit::visit_stmt_macro(lint, node));
    }

    fn visit_item(&mut self, node: &'ast Item) {
        self.scoped(|lint| visit::visit_item(lint, node));
    }

    fn visit_expr(&mut self, node: &'ast Expr) {
        self.scoped(|lint| visit::visit_expr(lint, node));
    }

    fn visit_arm(&mut self, node: &'ast Arm) {
        self.scoped(|lint| visit::visit_arm(lint, node));
    }

    fn visit_field_value(&mut self, node: &'ast FieldValue) {
        self.scoped(|lint| visit::visit_field_value(lint, node));
    }

    fn visit_expr_path(&mut self, node: &'ast ExprPath) {
        visit::visit_expr_path(self, node);
        let mut names = segments(&node.path);
        if let Some(own) = &node.qself {
            // `<SystemTime>::now` and `<SystemTime as Clock>::now` are `SystemTime::now`.
            let Type::Path(ty) = &*own.ty else { return };
            names.drain(..own.position);
            names.splice(..0, segments(&ty.path));
        }
        self.path(&names, &node.path);
    }

    fn visit_expr_struct(&mut self, node: &'ast ExprStruct) {
        visit::visit_expr_struct(self, node);
        self.path(&segments(&node.path), &node.path);
    }

    fn visit_expr_call(&mut self, node: &'ast ExprCall) {
        visit::visit_expr_call(self, node);
        if let Expr::Path(function) = &*node.func
            && function.path.segments.len() == 1
        {
            self.call(&function.path.segments[0].ident);
        }
    }

    fn visit_expr_method_call(&mut self, node: &'ast ExprMethodCall) {
        visit::visit_expr_method_call(self, node);
        if node.args.is_empty() {
            self.method(&node.method);
        }
    }

    fn visit_macro(&mut self, node: &'ast Macro) {
        self.invocation(&segments(&node.path), node.path.to_token_stream(), &node.tokens);
    }

    fn visit_item_use(&mut self, node: &'ast ItemUse) {
        for attribute in &node.attrs {
            self.visit_attribute(attribute);
        }
        self.imports(&node.tree, &mut Vec::new());
    }
}
