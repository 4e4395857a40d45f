//! What a user of entities touches.

pub(crate) mod caller;
pub(crate) mod error;
