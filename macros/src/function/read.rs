//! Conversion of a function to its model.

use syn::ext::IdentExt;
use syn::{Attribute, FnArg, ItemFn, LitStr};

use super::{Function, parameters};
use crate::errors::Errors;
use crate::kind::Kind;
use crate::{qualifiers, returns};

pub(super) fn read(item: &ItemFn, kind: Kind, name: Option<&LitStr>, errors: &mut Errors) -> Option<Function> {
    let signature = &item.sig;
    let errors_before = errors.count();
    refuse_second_attribute(item, errors);
    if let Some(receiver) = signature.receiver() {
        errors.push(
            receiver,
            format!(
                "{kind} must be a free function without `self`: move it out of the `impl`, and pass what it needs as its input"
            ),
        );
    }
    qualifiers::refuse(signature, kind, errors);
    let inputs = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(input) => Some(input),
        FnArg::Receiver(_) => None,
    });
    let parameters = parameters::read(inputs, kind, errors);
    let returns = returns::read(&signature.output, kind, None, errors);
    if errors.count() > errors_before {
        // The expansion of an invalid signature would only add errors of the compiler.
        return None;
    }
    let with = |name: &str| -> Vec<Attribute> {
        let is_it = |attribute: &&Attribute| attribute.path().is_ident(name);
        item.attrs.iter().filter(is_it).cloned().collect()
    };
    Some(Function {
        ident: signature.ident.clone(),
        name: name.map_or_else(|| signature.ident.unraw().to_string(), LitStr::value),
        visibility: item.vis.clone(),
        cfgs: with("cfg"),
        shown: with("deprecated"),
        is_async: signature.asyncness.is_some(),
        parameters,
        returns,
    })
}

/// Rejects a second attribute. A function with two of them would get two markers with the same name.
fn refuse_second_attribute(item: &ItemFn, errors: &mut Errors) {
    for attribute in &item.attrs {
        let Some(last) = attribute.path().segments.last() else {
            continue;
        };
        if last.ident == "activity" || last.ident == "orchestration" {
            errors.push(
                attribute,
                "a function is either one activity or one orchestration: remove one of the two attributes",
            );
        }
    }
}
