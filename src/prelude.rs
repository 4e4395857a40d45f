//! The imports of a program that defines entities and orchestrations: `use abide::prelude::*;`.
//!
//! `Serialize` and `Deserialize` include serde's derive macros. These expand to paths in the crate `serde`, so the
//! program needs it as a dependency: `cargo add serde --features derive`.

pub use crate::schedule::Recurrence;
pub use crate::{
    ActivityContext, CallError, Client, Entity, EntityContext, EntityId, EntityRef, Error, ErrorKind, Failure,
    FromCallError, Hub, Key, NoError, OrchestrationContext, OrchestrationHandle, OrchestrationStatus, ReadContext,
    Resource, RetryPolicy,
};
// Not from the crate root, where modules have the same names.
pub use abide_macros::{activity, operations, orchestration};
pub use serde::{Deserialize, Serialize};
