//! What a user of orchestrations touches, and how the user's future is run.

mod context;
mod journal;
mod kind;

pub use context::OrchestrationContext;
pub use kind::{LocalBoxFuture, Orchestration};
