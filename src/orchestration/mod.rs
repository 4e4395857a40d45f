//! What a user of orchestrations touches, and how the user's future is run.

mod context;
mod entity_start;
mod journal;
mod kind;

pub use context::OrchestrationContext;
pub use entity_start::EntityStart;
pub use kind::{LocalBoxFuture, Orchestration};
