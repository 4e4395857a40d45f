//! Conversion of a method to an operation.

use syn::ext::IdentExt;
use syn::{FnArg, ImplItemFn, Path, Receiver, ReceiverKind, Signature, Visibility};

use super::model::{Mode, Operation, Parameter};
use super::{attributes, awaits, parameter};
use crate::errors::Errors;
use crate::kind::Kind;
use crate::resource::uses;
use crate::{qualifiers, returns};

/// Names that every reference uses, so that an operation with that name would be unreachable.
const BUILT_IN: [(&str, &str); 4] = [
    ("id", "the id of the entity"),
    ("key", "the key of the entity"),
    ("state", "the committed state"),
    ("cancel_signal", "canceling a scheduled signal"),
];

/// Reads a method. Returns `None` if it is a helper or cannot be an operation.
pub(super) fn read(method: &ImplItemFn, self_type: &Path, errors: &mut Errors) -> Option<Operation> {
    let signature = &method.sig;
    let (Visibility::Public(_), Some(receiver)) = (&method.vis, signature.receiver()) else {
        refuse_attributes(method, errors);
        return None;
    };
    if signature.asyncness.is_none() {
        awaits::refuse(&method.block, errors);
        uses::refuse(signature, &method.block, errors);
    }
    let name = attributes::operation_name(&signature.ident, &method.attrs, errors);
    let errors_before = errors.count();
    let mode = mode(signature, receiver, errors);
    check_name(signature, errors);
    qualifiers::refuse(signature, Kind::Operation, errors);
    let parameters = parameters(signature, mode, self_type, errors);
    let returns = returns::read(&signature.output, Kind::Operation, Some(self_type), errors);
    if errors.count() > errors_before {
        // The expansion of an invalid signature would only add errors of the compiler.
        return None;
    }
    let with = |names: &[&str]| {
        let is_one = |attribute: &&syn::Attribute| names.iter().any(|name| attribute.path().is_ident(name));
        method.attrs.iter().filter(is_one).cloned().collect()
    };
    Some(Operation {
        ident: signature.ident.clone(),
        name,
        mode,
        shown: with(&["doc", "deprecated"]),
        cfgs: with(&["cfg"]),
        parameters,
        returns,
    })
}

/// Rejects attributes of an operation on a method that is not an operation.
fn refuse_attributes(method: &ImplItemFn, errors: &mut Errors) {
    attributes::refuse_misplaced(&method.attrs, errors);
    for input in &method.sig.inputs {
        let FnArg::Typed(parameter) = input else { continue };
        for attribute in &parameter.attrs {
            if attribute.path().is_ident("serde") {
                errors.push(
                    attribute,
                    "`#[serde(...)]` belongs on a parameter of an operation: a `pub fn` that takes `&self` or `&mut self`",
                );
            }
        }
    }
}

/// Returns how the operation runs. If its receiver is invalid, the rest is checked as for one that writes.
fn mode(signature: &Signature, receiver: &Receiver, errors: &mut Errors) -> Mode {
    match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, mutability) => {
            if let Some(lifetime) = lifetime {
                errors.push(
                    lifetime,
                    "an operation cannot have lifetimes: it borrows the state while it runs, and its return value is owned",
                );
            }
            match (mutability, &signature.asyncness) {
                (None, None) => Mode::Read,
                (Some(_), None) => Mode::Write,
                (Some(_), Some(_)) => Mode::Async,
                (None, Some(asyncness)) => {
                    errors.push(
                        asyncness,
                        "a read-only operation runs within the turn and cannot be `async`: remove `async`, or take `&mut self` to run outside the turn on a copy of the state",
                    );
                    Mode::Read
                }
            }
        }
        ReceiverKind::Typed(..) => {
            errors.push(
                receiver,
                "an operation must take `&self` or `&mut self`, in exactly this form",
            );
            Mode::Write
        }
        _ => {
            errors.push(
                receiver,
                "an operation cannot consume the state: take `&mut self` (and call `ctx.delete_state()` to delete the state), or make this a helper with `pub(crate)` or without `pub`",
            );
            Mode::Write
        }
    }
}

fn check_name(signature: &Signature, errors: &mut Errors) {
    for (name, purpose) in BUILT_IN {
        if signature.ident.unraw() == name {
            errors.push(
                &signature.ident,
                format!(
                    "an operation cannot be named `{name}`: a reference uses this name for {purpose}; rename the method, and set `#[operation(name = \"{name}\")]` if it must be stored under this name"
                ),
            );
        }
    }
}

/// Reads the parameters, without the invalid ones.
fn parameters(signature: &Signature, mode: Mode, self_type: &Path, errors: &mut Errors) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for input in &signature.inputs {
        let FnArg::Typed(input) = input else { continue };
        let Some(parameter) = parameter::read(input, mode, self_type, errors) else {
            continue;
        };
        if parameter.is_context() && parameters.iter().any(Parameter::is_context) {
            errors.push(&input.ty, "duplicate context: an operation has only one");
        }
        parameters.push(parameter);
    }
    parameters
}
