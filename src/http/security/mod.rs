//! Access control: the host, the origin and the token of a request, and the limits of its body.

mod body;
mod catch_unwind;
mod guard;
mod host;
mod refusal;
mod token;

pub(super) use guard::{Guard, protect, protect_open};
pub(super) use host::{LocalAddress, PublicUrl};
pub(super) use token::code;
pub use token::{Scope, Token};
