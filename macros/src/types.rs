//! Types as the user wrote them.

use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Lifetime, Path, PathArguments, PathSegment, QSelf, Type, TypeFnPtr, TypeImplTrait, TypeInfer, TypePath,
    TypeReference,
};

use crate::errors::Errors;

/// Returns the type without the invisible groups of `macro_rules` and without parentheses.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        other => other,
    }
}

/// Returns the last segment of a path type, which is the name that the macros recognize.
pub(crate) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ungrouped(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Returns whether a type is written with this name and without generics.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|last| last.ident == name && matches!(last.arguments, PathArguments::None))
}

/// Replaces `Self` with the entity's type, because `Self` has another meaning in the impl of the reference.
pub(crate) fn without_self(ty: &Type, self_type: &Path) -> Type {
    let mut ty = ungrouped(ty).clone();
    ReplaceSelf(self_type).visit_type_mut(&mut ty);
    ty
}

struct ReplaceSelf<'a>(&'a Path);

impl VisitMut for ReplaceSelf<'_> {
    fn visit_type_path_mut(&mut self, node: &mut TypePath) {
        let is_self = node.qself.is_none() && node.path.segments.first().is_some_and(|first| first.ident == "Self");
        if is_self && node.path.segments.len() == 1 {
            node.path = self.0.clone();
        } else if is_self {
            // `Self::Item` becomes `<Account>::Item`.
            let own = TypePath {
                attrs: Vec::new(),
                qself: None,
                path: self.0.clone(),
            };
            node.path.leading_colon = Some(Default::default());
            node.path.segments = node.path.segments.iter().skip(1).cloned().collect();
            node.qself = Some(QSelf {
                lt_token: Default::default(),
                ty: Box::new(Type::Path(own)),
                position: 0,
                as_token: None,
                gt_token: Default::default(),
            });
        }
        visit_mut::visit_type_path_mut(self, node);
    }
}

/// Rejects types that cannot be stored because they borrow or have no name. `place` describes the location of the type.
pub(crate) fn refuse_borrows(ty: &Type, place: &str, advice: &str, errors: &mut Errors) {
    Borrows { place, advice, errors }.visit_type(ty);
}

struct Borrows<'a> {
    place: &'a str,
    advice: &'a str,
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for Borrows<'_> {
    fn visit_type_reference(&mut self, node: &'ast TypeReference) {
        let text = format!(
            "{} cannot hold a reference: it is stored and sent; {}",
            self.place, self.advice
        );
        self.errors.push(node, text);
    }

    fn visit_lifetime(&mut self, node: &'ast Lifetime) {
        let text = format!(
            "{} cannot have a lifetime: it is stored and sent; {}",
            self.place, self.advice
        );
        self.errors.push(node, text);
    }

    fn visit_type_impl_trait(&mut self, node: &'ast TypeImplTrait) {
        let text = format!(
            "{} cannot be an `impl Trait`: use the concrete type, which is stored",
            self.place
        );
        self.errors.push(node, text);
    }

    fn visit_type_infer(&mut self, node: &'ast TypeInfer) {
        self.errors.push(node, format!("{} needs an explicit type", self.place));
    }

    fn visit_type_fn_ptr(&mut self, node: &'ast TypeFnPtr) {
        self.errors.push(
            node,
            format!("{} cannot be a function: it is stored and sent", self.place),
        );
    }

    fn visit_type(&mut self, node: &'ast Type) {
        visit::visit_type(self, node);
    }
}
