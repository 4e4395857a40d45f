//! The handle from outside: it signals, calls, reads, lists and repairs.

mod arguments;
mod caller;
mod dead_letters;
mod draw;
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
mod pages;
mod quarantine;
mod registered;
mod retention;
mod signal;
mod source;
mod start;
mod submit;
#[cfg(test)]
mod tests;
mod unreadable;
mod untyped;

pub use dead_letters::{DeadLetter, DeadLetterPage};
pub use entities::{EntityInfo, EntityPage, EntityQuery};
pub use handle::Client;
pub use history::{HistoryEvent, HistoryEventKind, HistoryStep};
pub use info::{OrchestrationInfo, Status};
pub use locks::{EntityLock, LockPage};
pub use manage::{Purge, RaiseEvent, Terminate};
pub use orchestration::{InstanceHandle, OrchestrationHandle, Untyped};
pub use orchestrations::{OrchestrationCount, OrchestrationPage, OrchestrationQuery};
pub use quarantine::{QuarantinePage, Quarantined};
pub use registered::{Registered, RegisteredEntity, RegisteredOperation, RegisteredOrchestration};
pub use retention::Retention;
pub use signal::{Cancel, Cancellation, Schedule, Signal};
#[cfg(feature = "rocksdb")]
pub(crate) use source::Inspected;
pub use start::Start;
pub use unreadable::Unreadable;
pub use untyped::{EntityCall, EntityHandle, EntitySignal};
