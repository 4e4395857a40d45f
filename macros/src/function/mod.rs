//! The common parts of activities and orchestrations: free functions that the macros expand.

mod expand;
mod parameters;
mod read;
pub(crate) mod refused;

use proc_macro2::{Ident, TokenStream};
use syn::{Attribute, Item, ItemFn, LitStr, Type, Visibility};

use crate::errors::Errors;
use crate::kind::Kind;
use crate::returns::Returns;

/// The model of the user's function for the expansion.
pub(crate) struct Function {
    pub(crate) ident: Ident,
    /// The stored name.
    pub(crate) name: String,
    visibility: Visibility,
    cfgs: Vec<Attribute>,
    /// The attributes `deprecated`, which the marker repeats.
    shown: Vec<Attribute>,
    is_async: bool,
    parameters: Vec<Parameter>,
    returns: Returns,
}

/// A parameter of the function.
enum Parameter {
    Context(Type),
    Input(Type),
    /// `Resource<T>`
    Resource(Type),
}

impl Function {
    /// Returns the type of the input, or `()` without one.
    pub(crate) fn input(&self) -> Type {
        self.taken().cloned().unwrap_or_else(|| syn::parse_quote!(()))
    }

    pub(crate) fn has_context(&self) -> bool {
        self.context().is_some()
    }

    fn context(&self) -> Option<&Type> {
        self.parameters.iter().find_map(|parameter| match parameter {
            Parameter::Context(ty) => Some(ty),
            Parameter::Input(_) | Parameter::Resource(_) => None,
        })
    }

    fn taken(&self) -> Option<&Type> {
        self.parameters.iter().find_map(|parameter| match parameter {
            Parameter::Input(ty) => Some(ty),
            Parameter::Context(_) | Parameter::Resource(_) => None,
        })
    }

    fn resources(&self) -> impl Iterator<Item = &Type> {
        self.parameters.iter().filter_map(|parameter| match parameter {
            Parameter::Resource(ty) => Some(ty),
            Parameter::Context(_) | Parameter::Input(_) => None,
        })
    }
}

/// Parses the item as a function. Returns `None` for any other item.
pub(crate) fn parse(item: TokenStream, kind: Kind, errors: &mut Errors) -> Option<ItemFn> {
    match syn::parse2(item) {
        Ok(Item::Fn(item)) => Some(item),
        Ok(other) => {
            errors.push(
                other,
                format!("`{}` belongs on a free function with a body", kind.attribute()),
            );
            None
        }
        Err(error) => {
            errors.add(error);
            None
        }
    }
}

/// Reads a function. Returns `None` if it cannot be of this kind.
pub(crate) fn read(item: &ItemFn, kind: Kind, name: Option<&LitStr>, errors: &mut Errors) -> Option<Function> {
    read::read(item, kind, name, errors)
}

#[cfg(test)]
pub(crate) mod tests {
    use proc_macro2::TokenStream;

    /// Counts the errors in an expansion.
    pub(crate) fn errors(text: &str) -> usize {
        text.matches("compile_error").count()
    }

    /// Compares expansions as the compiler does, without the spacing of their tokens.
    #[track_caller]
    pub(crate) fn assert_same(found: &TokenStream, expected: &TokenStream) {
        let parse = |tokens: &TokenStream| syn::parse2::<syn::File>(tokens.clone()).unwrap();
        assert!(parse(found) == parse(expected), "found {found}\nexpected {expected}");
    }
}
