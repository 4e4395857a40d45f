//! Who may ask: the host that a request is for, the page it comes from, its token; and the bounds of what it may send.

mod body;
mod caught;
mod guard;
mod host;
mod refusal;
mod token;

pub(super) use guard::{Guard, protect, protect_open};
pub(super) use host::{LocalAddress, PublicUrl};
pub(super) use token::code;
pub use token::{Scope, Token};
