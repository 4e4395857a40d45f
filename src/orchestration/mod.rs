//! Orchestrations: their calls, timers, event waits and critical sections.
//!
//! A *turn* is one run of an instance's code, from a delivery until it waits or returns.

mod activity_call;
mod agreement;
mod caller;
mod child_call;
mod commands;
mod context;
pub(crate) mod continue_as_new;
mod deliver;
mod describe;
mod determinism;
mod end;
mod entity_start;
mod event_wait;
mod events;
mod execution;
mod kind;
mod lock;
mod options;
mod payload;
mod program;
pub(crate) mod question_mark;
mod random;
mod run;
mod section;
mod step;
mod step_future;
mod timer;
mod waker;

pub use activity_call::ActivityCall;
pub use caller::OrchestrationCaller;
pub use child_call::{ChildCall, ChildStart};
pub use context::{OrchestrationContext, ParentInfo};
pub use continue_as_new::ContinueAsNew;
pub use entity_start::EntityStart;
pub use event_wait::{EventTimeout, EventWait, EventWithDefault};
pub use kind::{LocalBoxFuture, Orchestration};
pub use lock::{LockGuard, LockRequest, LockTargets};
pub(crate) use program::orchestration_code;
pub use random::Random;
pub use timer::Timer;

pub use crate::model::orchestration::ReusePolicy;

#[cfg(test)]
mod tests;
