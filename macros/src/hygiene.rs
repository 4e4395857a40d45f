//! Names in expansions that cannot conflict with a user's names.
//!
//! Locals and parameters of an expansion begin with the reserved prefix `__abide_`. Locals have hygiene, but they still
//! need the prefix: a plain name in a pattern refers to a constant, a static or a unit struct with that name, if one is
//! in scope.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::format_ident;

/// Creates a name for a type parameter that does not appear in the user's tokens.
///
/// A type parameter has no hygiene: it shadows a type with the same name for all other tokens.
pub(crate) fn type_parameter(base: &str, user: &TokenStream) -> Ident {
    let mut name = base.to_owned();
    while mentions(user, &name) {
        name.push('_');
    }
    Ident::new(&name, Span::call_site())
}

fn mentions(tokens: &TokenStream, name: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Creates a local name with the location of `span` but not its hygiene. A user's token that comes from a macro carries
/// the hygiene of that macro.
pub(crate) fn local_at(name: &str, span: Span) -> Ident {
    format_ident!("__abide_{name}", span = Span::mixed_site().located_at(span))
}

/// Creates a local name.
pub(crate) fn local(name: &str) -> Ident {
    local_at(name, Span::mixed_site())
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    /// A name that appears anywhere in the user's tokens is not used.
    #[test]
    fn a_type_parameter_has_a_name_of_its_own() {
        assert_eq!(
            type_parameter(
                "C",
                &quote!(
                    struct D {
                        c: Vec<Option<u8>>,
                    }
                )
            ),
            "C"
        );
        assert_eq!(
            type_parameter(
                "C",
                &quote!(
                    struct C;
                )
            ),
            "C_"
        );
        assert_eq!(type_parameter("C", &quote!(impl A { fn f(_: Vec<(C, C_)>) {} })), "C__");
    }
}
