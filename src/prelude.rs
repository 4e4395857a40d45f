//! What a program that writes entities and orchestrations uses: `use abide::prelude::*;`.
//!
//! `Serialize` and `Deserialize` are serde's derives. They expand to paths in the crate `serde`, so that a program needs it
//! among its own dependencies: `cargo add serde --features derive`.

pub use crate::{
    ActivityContext, CallError, Client, Entity, EntityContext, EntityId, EntityRef, Failure, FromCallError, Hub, Key,
    NoError, OrchestrationContext, OrchestrationHandle, ReadContext, Resource, RetryPolicy, activity, operations,
    orchestration,
};
pub use serde::{Deserialize, Serialize};
