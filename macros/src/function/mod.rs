//! A free function that becomes an activity or an orchestration: what both have in common.

mod expand;
mod parameters;
mod read;
pub(crate) mod refused;

use proc_macro2::{Ident, TokenStream};
use syn::{Attribute, Item, ItemFn, LitStr, Type, Visibility};

use crate::errors::Errors;
use crate::kind::Kind;
use crate::returns::Returns;

/// What the user wrote, as the expansion needs it.
pub(crate) struct Function {
    pub(crate) ident: Ident,
    /// The stored name.
    pub(crate) name: String,
    visibility: Visibility,
    cfgs: Vec<Attribute>,
    /// `deprecated`: what the marker shows as well.
    shown: Vec<Attribute>,
    is_async: bool,
    parameters: Vec<Parameter>,
    returns: Returns,
}

/// A parameter of the function, in its place.
enum Parameter {
    Context(Type),
    Input(Type),
    /// `Resource<T>`
    Resource(Type),
}

impl Function {
    /// The type that it takes; `()` if none.
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

/// Takes the item for a function; `None` if it is anything else.
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

/// Reads a function; `None` if it cannot be one of its kind.
pub(crate) fn read(item: &ItemFn, kind: Kind, name: Option<&LitStr>, errors: &mut Errors) -> Option<Function> {
    read::read(item, kind, name, errors)
}

#[cfg(test)]
pub(crate) mod tests {
    use proc_macro2::TokenStream;

    /// How many errors an expansion holds.
    pub(crate) fn errors(text: &str) -> usize {
        text.matches("compile_error").count()
    }

    /// Compares expansions as the compiler sees them, without the spacing of their tokens.
    #[track_caller]
    pub(crate) fn assert_same(found: &TokenStream, expected: &TokenStream) {
        let parse = |tokens: &TokenStream| syn::parse2::<syn::File>(tokens.clone()).unwrap();
        assert!(parse(found) == parse(expected), "found {found}\nexpected {expected}");
    }
}
