//! The procedural macros of `abide`. Use them through that crate; its documentation describes them.
//!
//! Each macro goes the same way: attributes, an own model of what the user wrote, checks that collect all errors on the
//! user's own tokens, and the expansion. The user's item is always emitted, also beside errors.

mod activity;
mod call_error;
mod crate_path;
mod entity;
mod errors;
mod function;
mod kind;
mod names;
mod operations;
mod orchestration;
mod qualifiers;
mod returns;
mod settings;
mod types;

use proc_macro::TokenStream;

/// Makes a struct or an enum the state of a type of entities.
///
/// See the trait `abide::Entity` for what it means and for the attributes.
#[proc_macro_derive(Entity, attributes(entity))]
pub fn derive_entity(item: TokenStream) -> TokenStream {
    entity::derive(item.into()).into()
}

/// Makes the `pub fn`s of an inherent impl the operations of an entity.
///
/// See the trait `abide::Operations` for what it means and for the rules.
#[proc_macro_attribute]
pub fn operations(arguments: TokenStream, item: TokenStream) -> TokenStream {
    operations::expand(arguments.into(), item.into()).into()
}

/// Lets `?` turn the `CallError<E>` of any operation into this error, where `E` converts into it.
///
/// It stands beside `thiserror`'s derive, on an enum with one variant `#[from] CallError`: that one takes what the
/// runtime met, and what an operation returned goes the way of `From<E>`.
///
/// `#[from_call_error(crate = path)]` says where `abide` is found.
#[proc_macro_derive(FromCallError, attributes(from_call_error))]
pub fn derive_from_call_error(item: TokenStream) -> TokenStream {
    call_error::derive(item.into()).into()
}

/// act
#[proc_macro_attribute]
pub fn activity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    activity::expand(arguments.into(), item.into()).into()
}

/// orch
#[proc_macro_attribute]
pub fn orchestration(arguments: TokenStream, item: TokenStream) -> TokenStream {
    orchestration::expand(arguments.into(), item.into()).into()
}
