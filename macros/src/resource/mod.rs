//! Parameters for resources of the hub.

pub(crate) mod uses;

use syn::{GenericArgument, Pat, PatType, PathArguments, Type};

use crate::errors::Errors;
use crate::types;

/// The error for a resource in a synchronous operation.
pub(crate) const SYNCHRONOUS: &str = "a synchronous operation has no resources: it runs within the turn, where waiting \
    would delay other entities, and its state must depend only on stored data; to perform I/O, make this an \
    `async fn`, or use the resource in an activity and send the result to the entity";

/// The error for a resource in an orchestration.
pub(crate) const ORCHESTRATION: &str = "an orchestration has no resources: it is replayed from its history, which does not \
    contain the results of a resource, so a replay could diverge; use the resource in an activity, \
    `async fn charge(pool: Resource<Pool>, ...)`, and call that";

/// Returns the type of a parameter that is written as `Resource<T>`, by value or by reference.
pub(crate) fn type_of(ty: &Type) -> Option<&Type> {
    let ty = match types::ungrouped(ty) {
        Type::Reference(reference) => types::ungrouped(&reference.elem),
        other => other,
    };
    let last = types::last_segment(ty).filter(|last| last.ident == "Resource")?;
    let PathArguments::AngleBracketed(generics) = &last.arguments else {
        return None;
    };
    let is_one_type = generics.args.len() == 1 && matches!(generics.args.first(), Some(GenericArgument::Type(_)));
    is_one_type.then_some(ty)
}

/// Checks a parameter that is a resource. Returns `false` if it is invalid.
pub(crate) fn check(parameter: &PatType, errors: &mut Errors) -> bool {
    let errors_before = errors.count();
    if let Type::Reference(_) = types::ungrouped(&parameter.ty) {
        errors.push(
            &parameter.ty,
            "a resource is cheap to clone: take it by value, `Resource<T>`",
        );
    }
    let is_plain = match &*parameter.pat {
        Pat::Ident(pattern) => pattern.by_ref.is_none() && pattern.subpat.is_none(),
        Pat::Wild(_) => true,
        _ => false,
    };
    if !is_plain {
        errors.push(
            &parameter.pat,
            "a resource must have a plain name: `pool: Resource<Pool>`; it dereferences to its content",
        );
    }
    let Some(ty) = type_of(&parameter.ty) else { return false };
    types::refuse_borrows(
        ty,
        "a resource",
        "it lives as long as the hub, so use owned types, or an `Arc`",
        errors,
    );
    errors.count() == errors_before
}
