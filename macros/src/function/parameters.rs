//! The parameters of a function: the context, the input and the resources.

use syn::{Pat, PatType, Type};

use super::Parameter;
use crate::errors::Errors;
use crate::kind::Kind;
use crate::{resource, types};

/// The names of context types.
const CONTEXTS: [&str; 4] = [
    "ActivityContext",
    "OrchestrationContext",
    "EntityContext",
    "ReadContext",
];

/// Reads the parameters: the context, one input, and resources.
pub(super) fn read<'a>(inputs: impl Iterator<Item = &'a PatType>, kind: Kind, errors: &mut Errors) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    let (mut has_context, mut has_input) = (false, false);
    for parameter in inputs {
        refuse_cfg(parameter, kind, errors);
        let ty = types::ungrouped(&parameter.ty);
        if let Some(name) = context_name(ty) {
            check_context(ty, name, kind, errors);
            if has_context {
                errors.push(ty, format!("duplicate context: {kind} has only one"));
            } else if !parameters.is_empty() {
                errors.push(ty, format!("the context of {kind} must be its first parameter"));
            }
            has_context = true;
            parameters.push(Parameter::Context(ty.clone()));
        } else if let Some(resource) = resource::type_of(ty) {
            if kind == Kind::Orchestration {
                errors.push(ty, resource::ORCHESTRATION);
            } else {
                resource::check(parameter, errors);
            }
            parameters.push(Parameter::Resource(resource.clone()));
        } else if has_input {
            errors.push(
                parameter,
                format!(
                    "{kind} takes one input, which a later version may extend: combine several values into a struct or a tuple"
                ),
            );
        } else {
            check_input(parameter, ty, kind, errors);
            has_input = true;
            parameters.push(Parameter::Input(ty.clone()));
        }
    }
    parameters
}

/// Returns the name of the context type, if the type is a context or a reference to one.
fn context_name(ty: &Type) -> Option<&'static str> {
    let ty = match ty {
        Type::Reference(reference) => &reference.elem,
        other => other,
    };
    CONTEXTS.into_iter().find(|name| types::is_named(ty, name))
}

fn check_context(ty: &Type, name: &str, kind: Kind, errors: &mut Errors) {
    let own = kind.context();
    if name != own {
        errors.push(ty, format!("the context of {kind} must be `{own}`"));
    } else if let Type::Reference(_) = ty {
        errors.push(
            ty,
            format!("{kind} owns its context, which is cheap to clone: take it by value, `{own}`"),
        );
    }
}

fn check_input(parameter: &PatType, ty: &Type, kind: Kind, errors: &mut Errors) {
    let is_plain = match &*parameter.pat {
        Pat::Ident(pattern) => pattern.by_ref.is_none() && pattern.subpat.is_none(),
        Pat::Wild(_) => true,
        _ => false,
    };
    if !is_plain {
        errors.push(
            &parameter.pat,
            format!("the input of {kind} must have a plain name: destructure it in the body"),
        );
    }
    types::refuse_borrows(
        ty,
        &format!("the input of {kind}"),
        "take an owned type (`String`, `Vec<T>`)",
        errors,
    );
}

fn refuse_cfg(parameter: &PatType, kind: Kind, errors: &mut Errors) {
    for attribute in &parameter.attrs {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            errors.push(
                attribute,
                format!("a parameter of {kind} cannot be conditional: put the `cfg` on the whole function"),
            );
        }
    }
}
