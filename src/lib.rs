//! Durable entities and orchestrations: actors whose state, messages and workflows survive any crash.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::disallowed_methods))]
#![allow(dead_code)] // Only while the first pieces are put together.

mod engine;
mod entity;
mod error;
mod failure;
mod id;
mod store;
mod time;

pub use error::{Error, ErrorKind, Result};
pub use failure::Failure;
pub use id::{EntityId, MAX_ID_BYTES};
