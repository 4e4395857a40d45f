//! What stands around the name of a function.

use syn::{Safety, Signature};

use crate::errors::Errors;
use crate::kind::Kind;

/// Refuses `const`, `unsafe`, `extern`, variadics and generics: what is stored is called by name and with one type each.
pub(crate) fn refuse(signature: &Signature, kind: Kind, errors: &mut Errors) {
    if let Some(token) = &signature.constness {
        let helper = kind.helper();
        errors.push(
            token,
            format!("{kind} cannot be `const`: it runs when it is called for; move the code to {helper}"),
        );
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.push(
            token,
            format!("{kind} cannot be `unsafe`: it is called with what was stored, and nobody vouches for that"),
        );
    }
    if let Some(abi) = &signature.abi {
        errors.push(
            abi,
            format!("{kind} is written as ordinary Rust code: remove the `extern`"),
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.push(
            variadic,
            format!("{kind} has a fixed list of parameters: take a `Vec<T>`"),
        );
    }
    if !signature.generics.params.is_empty() {
        let stored = kind.stored();
        errors.push(
            &signature.generics,
            format!(
                "{kind} has no generics and no lifetimes: {stored} are stored with one type each; use concrete, owned types"
            ),
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.push(
            clause,
            format!("{kind} has no generics, so nothing to constrain: remove the `where` clause"),
        );
    }
}
