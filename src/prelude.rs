//! What a program that writes entities and orchestrations uses: `use abide::prelude::*;`.
//!
//! `Serialize` and `Deserialize` are serde's derives. They expand to paths in the crate `serde`, so that a program needs it
//! among its own dependencies: `cargo add serde --features derive`.

pub use crate::schedule::Recurrence;
pub use crate::{
    ActivityContext, CallError, Client, Entity, EntityContext, EntityId, EntityRef, Error, ErrorKind, Failure,
    FromCallError, Hub, Key, NoError, OrchestrationContext, OrchestrationHandle, OrchestrationStatus, ReadContext,
    Resource, RetryPolicy,
};
// Not from the crate root, where modules have the same names.
pub use abide_macros::{activity, operations, orchestration};
pub use serde::{Deserialize, Serialize};
