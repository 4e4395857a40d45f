//! Names in expansions that cannot clash with a user's name.
//!
//! Locals and parameters of an expansion begin with `__abide_`, which is reserved. A prefix is needed although locals have
//! hygiene: a pattern that is a plain name means a constant, a static or a unit struct of that name, if one is in scope.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::format_ident;

/// Makes the name of a type parameter that appears in none of the user's tokens.
///
/// A type parameter has no hygiene: it hides a type of its name from every token beside it.
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

/// Makes a local name with the place of `span` and none of its hygiene: a user's token that comes from a macro brings
/// that macro's hygiene with it.
pub(crate) fn local_at(name: &str, span: Span) -> Ident {
    format_ident!("__abide_{name}", span = Span::mixed_site().located_at(span))
}

/// Makes a local name.
pub(crate) fn local(name: &str) -> Ident {
    local_at(name, Span::mixed_site())
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    /// A name that the user's tokens hold anywhere is not taken.
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
