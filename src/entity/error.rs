//! How a call fails.

pub use crate::failure::CallFailure;
