//! What an operation returns.

use syn::{GenericArgument, Path, PathArguments, ReturnType, Type};

use super::model::Returns;
use super::types;
use crate::errors::Errors;

/// Reads a return type. A type that is spelled `Result` is split, whatever alias it is.
pub(super) fn read(output: &ReturnType, self_type: &Path, errors: &mut Errors) -> Returns {
    let ReturnType::Type(_, ty) = output else {
        return Returns::Nothing;
    };
    types::refuse_borrows(
        ty,
        "what an operation returns",
        "return an owned type (`String`, `Vec<T>`)",
        errors,
    );
    if let Type::Never(never) = types::ungrouped(ty) {
        errors.push(never, "an operation that never returns answers nobody");
    }
    let ty = types::without_self(ty, self_type);
    let Some(last) = types::last_segment(&ty).filter(|last| last.ident == "Result") else {
        return Returns::Value(ty);
    };
    if let PathArguments::AngleBracketed(generics) = &last.arguments {
        let mut parts = generics.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        });
        if let (Some(answer), Some(error), None) = (parts.next(), parts.next(), parts.next()) {
            return Returns::Result { answer, error };
        }
    }
    Returns::Alias(ty)
}
