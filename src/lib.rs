#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::disallowed_methods))]

// The macros expand to paths that begin with `::abide`, also inside this crate.
extern crate self as abide;

#[cfg(feature = "rocksdb")]
#[doc(hidden)]
#[path = "bench.rs"]
pub mod __bench;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
pub mod activity;
pub mod admin;
mod canonical;
pub mod client;
mod commit;
mod engine;
pub mod entity;
mod error;
mod failure;
#[cfg(any(feature = "rocksdb", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
mod files;
pub mod history;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "http-client")]
pub mod http_client;
pub mod hub;
mod id;
mod json;
// Without RocksDB, only the simulation uses it.
#[cfg(any(feature = "rocksdb", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code, unused_imports))]
mod log;
pub mod orchestration;
mod payload;
pub mod prelude;
mod resource;
mod retry;
mod runtime;
pub mod schedule;
#[cfg(test)]
mod simulation;
mod spawn;
mod store;
mod time;
mod trace;

pub use abide_macros::{Entity, FromCallError, activity, operations, orchestration};

pub use activity::{Activity, ActivityContext};
pub use client::{Client, OrchestrationHandle, OrchestrationStatus};
pub use entity::{CallError, Entity, EntityContext, EntityRef, Key, NoError, OperationError, Operations, ReadContext};
pub use error::{Error, ErrorKind, Result};
pub use failure::{Cause, Failure};
pub use hub::{Hub, HubBuilder};
pub use id::{EntityId, MAX_ID_BYTES};
pub use orchestration::{Orchestration, OrchestrationContext};
pub use resource::Resource;
pub use retry::RetryPolicy;
