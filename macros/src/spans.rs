//! Where errors are shown.

use proc_macro2::Span;

/// The place of `span`, with the names of the expansion: tokens of a user's may come from a macro of their own, in which
/// the names that an expansion introduces would not be visible.
pub(crate) fn at(span: Span) -> Span {
    Span::call_site().located_at(span)
}
