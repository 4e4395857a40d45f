//! The model of the user's code for the expansion.

use syn::{Attribute, ExprPath, Ident, Path, Type};

use crate::crate_path::CratePath;
use crate::returns::Returns;

/// The impl of an entity.
pub(crate) struct EntityImpl {
    pub(crate) crate_path: CratePath,
    pub(crate) self_type: Path,
    /// The type of the reference.
    pub(crate) reference: Path,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) operations: Vec<Operation>,
}

/// One operation.
pub(crate) struct Operation {
    pub(crate) ident: Ident,
    /// The stored name.
    pub(crate) name: String,
    pub(crate) mode: Mode,
    /// Documentation and `deprecated`, which the method of the reference repeats.
    pub(crate) shown: Vec<Attribute>,
    pub(crate) cfgs: Vec<Attribute>,
    /// The parameters, in the order of the method.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) returns: Returns,
}

/// The mode in which an operation runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
    Async,
}

/// A parameter of the method.
pub(crate) enum Parameter {
    /// `&mut EntityContext`: the type behind the reference.
    Context(Type),
    /// `&ReadContext`: the type behind the reference.
    ReadContext(Type),
    /// `Resource<T>`
    Resource(Type),
    Argument(Argument),
}

impl Parameter {
    pub(crate) fn is_context(&self) -> bool {
        matches!(self, Self::Context(_) | Self::ReadContext(_))
    }
}

/// A parameter that the caller sends.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    /// The stored name and its aliases, which older messages may use.
    pub(crate) names: Vec<String>,
    pub(crate) passing: Passing,
    pub(crate) default: Default,
}

/// The form in which an argument is passed.
pub(crate) enum Passing {
    /// `T`
    Value(Type),
    /// `&T`
    Reference(Type),
    /// `&str`, as the user wrote it.
    Text(Type),
    /// `&[T]`
    Slice(Type),
}

/// The default of an omitted argument.
pub(crate) enum Default {
    /// No default: an omitted argument is an error, except for an `Option`.
    None,
    /// `Default::default()`
    Trait,
    /// A function.
    Path(ExprPath),
}
