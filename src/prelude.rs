//! What a program that writes entities and orchestrations uses: `use abide::prelude::*;`.

pub use crate::{
    ActivityContext, CallError, Client, Entity, EntityContext, EntityId, EntityRef, Failure, FromCallError, Hub, Key,
    NoError, OrchestrationContext, OrchestrationHandle, ReadContext, RetryPolicy, activity, operations, orchestration,
};
pub use serde::{Deserialize, Serialize};
