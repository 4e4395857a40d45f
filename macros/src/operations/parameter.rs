//! One parameter of an operation.

use syn::{Ident, Pat, PatType, Path, Type, TypeReference};

use super::attributes;
use super::model::{Argument, Mode, Parameter, Passing};
use crate::errors::Errors;
use crate::{resource, types};

/// Reads a parameter. Returns `None` if it is invalid.
pub(super) fn read(input: &PatType, mode: Mode, self_type: &Path, errors: &mut Errors) -> Option<Parameter> {
    let ty = types::ungrouped(&input.ty);
    if let Some(context) = read_context(ty, mode, errors) {
        if let Some(attribute) = input.attrs.iter().find(|attribute| attribute.path().is_ident("serde")) {
            errors.push(
                attribute,
                "the context is not stored, so serde attributes do not apply to it",
            );
        }
        return context;
    }
    if let Some(inner) = resource::type_of(ty) {
        return read_resource(input, inner, mode, errors);
    }
    let ident = name(&input.pat, errors);
    let passing = passing(ty, self_type, errors);
    let ident = ident?;
    let attributes = attributes::parameter(&ident, &input.attrs, errors);
    Some(Parameter::Argument(Argument {
        ident,
        names: attributes.names,
        passing: passing?,
        default: attributes.default,
    }))
}

/// Reads a parameter that is a resource. Returns `None` if it is invalid.
fn read_resource(input: &PatType, ty: &Type, mode: Mode, errors: &mut Errors) -> Option<Parameter> {
    if let Some(attribute) = input.attrs.iter().find(|attribute| attribute.path().is_ident("serde")) {
        errors.push(
            attribute,
            "a resource is not stored, so serde attributes do not apply to it",
        );
    }
    if mode != Mode::Async {
        errors.push(ty, resource::SYNCHRONOUS);
        return None;
    }
    resource::check(input, errors).then(|| Parameter::Resource(ty.clone()))
}

/// Reads a parameter that is, or appears to be, a context. Returns `Some(None)` if it is invalid.
fn read_context(ty: &Type, mode: Mode, errors: &mut Errors) -> Option<Option<Parameter>> {
    let (reference, inner) = match ty {
        Type::Reference(reference) => (Some(reference), &*reference.elem),
        other => (None, other),
    };
    let is_mutable = reference.is_some_and(|reference| reference.mutability.is_some());
    let is_entity_context = types::is_named(inner, "EntityContext");
    let is_read_context = types::is_named(inner, "ReadContext");
    if !(is_mutable || is_entity_context || is_read_context) {
        return None;
    }
    if let Some(lifetime) = reference.and_then(|reference| reference.lifetime.as_ref()) {
        errors.push(
            lifetime,
            "the context lives as long as the operation runs: remove the lifetime",
        );
    }
    let parameter = match mode {
        Mode::Read if is_read_context && reference.is_some() && !is_mutable => Parameter::ReadContext(inner.clone()),
        Mode::Read => {
            errors.push(
                ty,
                "a read-only operation cannot change the state or send messages: take `&ReadContext` here, or take `&mut self` in the operation",
            );
            return Some(None);
        }
        Mode::Write | Mode::Async if is_mutable && !is_read_context => Parameter::Context(inner.clone()),
        Mode::Write | Mode::Async => {
            errors.push(
                ty,
                "the context of an operation with `&mut self` must be `&mut EntityContext`",
            );
            return Some(None);
        }
    };
    Some(Some(parameter))
}

/// Returns the name of a parameter, which is stored.
fn name(pattern: &Pat, errors: &mut Errors) -> Option<Ident> {
    match pattern {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => Some(pattern.ident.clone()),
        Pat::Wild(_) => {
            errors.push(pattern, "a parameter of an operation needs a name, because arguments are stored by name: write `_name` for an unused one");
            None
        }
        _ => {
            errors.push(pattern, "a parameter of an operation needs a plain name, because arguments are stored by name: destructure it in the body");
            None
        }
    }
}

/// Returns how an argument is passed: the caller keeps `&str`, `&[T]` and `&T`, and gives away anything else.
fn passing(ty: &Type, self_type: &Path, errors: &mut Errors) -> Option<Passing> {
    const PLACE: &str = "an argument";
    const ADVICE: &str = "use owned types inside (`String`, `Vec<T>`); only the whole argument may be a reference";
    let Type::Reference(reference) = ty else {
        let value = types::without_self(ty, self_type);
        types::refuse_borrows(ty, PLACE, ADVICE, errors);
        return Some(Passing::Value(value));
    };
    refuse_lifetime(reference, errors);
    let inner = types::ungrouped(&reference.elem);
    let owned = types::without_self(inner, self_type);
    types::refuse_borrows(inner, PLACE, ADVICE, errors);
    match owned {
        Type::Slice(slice) => Some(Passing::Slice(*slice.elem)),
        Type::TraitObject(object) => {
            errors.push(
                object,
                "an argument cannot be a trait object: use the concrete type, which is stored",
            );
            None
        }
        text if types::is_named(&text, "str") => Some(Passing::Text(text)),
        other => Some(Passing::Reference(other)),
    }
}

fn refuse_lifetime(reference: &TypeReference, errors: &mut Errors) {
    if let Some(lifetime) = &reference.lifetime {
        errors.push(
            lifetime,
            "an argument cannot have a lifetime: the stored record owns it, and the operation borrows from the record; remove the lifetime",
        );
    }
}
