//! The handle from outside: it signals, calls, reads, lists and repairs.

mod caller;
mod dead_letters;
mod entities;
mod handle;
mod history;
mod info;
mod json;
mod locks;
mod manage;
mod merged;
mod orchestration;
mod orchestrations;
mod quarantine;
mod retention;
mod signal;
mod start;
mod submit;

pub use dead_letters::DeadLetter;
pub use entities::{EntityInfo, EntityPage, EntityQuery};
pub use handle::Client;
pub use history::{HistoryEvent, HistoryEventKind, HistoryStep};
pub use info::{OrchestrationInfo, Status};
pub use locks::EntityLock;
pub use manage::{Purge, RaiseEvent, Terminate};
pub use orchestration::{InstanceHandle, OrchestrationHandle, Untyped};
pub use orchestrations::{OrchestrationCount, OrchestrationPage, OrchestrationQuery};
pub use quarantine::Quarantined;
pub use retention::Retention;
pub use signal::{Cancel, Cancellation, Schedule, Signal};
pub use start::Start;
