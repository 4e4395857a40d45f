//! What the user wrote, as the expansion needs it.

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
    /// Documentation and `deprecated`: what the method of the reference shows as well.
    pub(crate) shown: Vec<Attribute>,
    pub(crate) cfgs: Vec<Attribute>,
    /// In the order of the method's own parameters.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) returns: Returns,
}

/// How an operation runs.
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

/// A parameter that is sent.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    /// The stored name, and the names that older messages may have.
    pub(crate) names: Vec<String>,
    pub(crate) passing: Passing,
    pub(crate) default: Default,
}

/// How an argument is handed over.
pub(crate) enum Passing {
    /// `T`
    Value(Type),
    /// `&T`
    Reference(Type),
    /// `&str`, spelled as the user did.
    Text(Type),
    /// `&[T]`
    Slice(Type),
}

/// What stands for an argument that was not given.
pub(crate) enum Default {
    /// Nothing: it is an error, except for an `Option`.
    None,
    /// `Default::default()`
    Trait,
    /// A function.
    Path(ExprPath),
}
