//! From a function to its model.

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
                "{kind} is a free function: it has no `self`; put it outside of the `impl`, and take what it needs as its input"
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
        // An expansion of a signature that cannot be would only add errors of the compiler's.
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

/// A function with both attributes, or with one of them twice, would get two markers of one name.
fn refuse_second_attribute(item: &ItemFn, errors: &mut Errors) {
    for attribute in &item.attrs {
        let Some(last) = attribute.path().segments.last() else {
            continue;
        };
        if last.ident == "activity" || last.ident == "orchestration" {
            errors.push(
                attribute,
                "a function is one activity or one orchestration: remove one of the two attributes",
            );
        }
    }
}
