//! Durable entities and orchestrations: actors whose state, messages and workflows survive any crash.
#![allow(dead_code)] // Only while the first pieces are put together.

// The macros write `::abide`, also where they are used inside this crate.
extern crate self as abide;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod engine;
mod entity;
mod error;
mod failure;
mod id;
pub mod prelude;
mod store;
mod time;

pub use abide_macros::{Entity, FromCallError, operations};
pub use entity::{
    Answer, Argument, CallError, Caller, CanCall, ClientCaller, Entity, EntityCaller, EntityContext, EntityRef, Key,
    NamedTimer, NoError, Operation, OperationError, Operations, ReadContext, ReadState,
};
pub use error::{Error, ErrorKind, Result};
pub use failure::Failure;
pub use id::{EntityId, MAX_ID_BYTES};
