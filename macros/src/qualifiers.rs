//! Qualifiers and generics of a function.

use syn::{Safety, Signature};

use crate::errors::Errors;
use crate::kind::Kind;

/// Rejects `const`, `unsafe`, `extern`, variadics and generics: the hub calls functions by their stored names, with one
/// type per value.
pub(crate) fn refuse(signature: &Signature, kind: Kind, errors: &mut Errors) {
    if let Some(token) = &signature.constness {
        let helper = kind.helper();
        errors.push(
            token,
            format!("{kind} cannot be `const`: it runs only when it is called; move the code to {helper}"),
        );
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.push(
            token,
            format!("{kind} cannot be `unsafe`: it is called with stored values, and nothing guarantees their safety"),
        );
    }
    if let Some(abi) = &signature.abi {
        errors.push(
            abi,
            format!("{kind} must be an ordinary Rust function: remove the `extern`"),
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
                "{kind} cannot have generics or lifetimes: {stored} are stored with one type each; use concrete, owned types"
            ),
        );
    }
    if let Some(clause) = &signature.generics.where_clause {
        errors.push(
            clause,
            format!("{kind} cannot have generics, so there is nothing to constrain: remove the `where` clause"),
        );
    }
}
