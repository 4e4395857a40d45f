//! The handle from outside: it signals, calls, reads, lists and repairs.

mod caller;
mod dead_letters;
mod entities;
mod handle;
mod orchestration;
mod quarantine;
mod signal;
mod start;
mod submit;

pub use dead_letters::DeadLetter;
pub use entities::{EntityInfo, EntityPage, EntityQuery};
pub use handle::Client;
pub use orchestration::{InstanceHandle, OrchestrationHandle, Untyped};
pub use quarantine::Quarantined;
pub use signal::{Cancel, Cancellation, Schedule, Signal};
pub use start::Start;
