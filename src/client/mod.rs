//! The client: calls and signals entities, starts and manages orchestrations, and queries and administers a hub.

pub(crate) mod admin;
mod arguments;
mod caller;
pub(crate) mod dead_letters;
mod draw;
mod entities;
mod handle;
pub(crate) mod history;
mod info;
mod json;
pub(crate) mod locks;
mod manage;
mod merged;
mod orchestration;
mod orchestrations;
pub(crate) mod pages;
pub(crate) mod quarantine;
pub(crate) mod registered;
pub(crate) mod retention;
mod signal;
mod source;
mod start;
mod submit;
#[cfg(test)]
mod tests;
mod unreadable;
mod untyped;

pub use entities::{EntityInfo, EntityQuery};
pub use handle::Client;
pub use info::{OrchestrationInfo, Status};
pub use manage::{Purge, RaiseEvent, Terminate};
pub use orchestration::{AnyOrchestration, OrchestrationHandle};
pub use orchestrations::{OrchestrationCount, OrchestrationQuery};
pub use pages::{List, Page};
pub use signal::{Cancel, Cancellation, ScheduledSignal, Signal};
#[cfg(feature = "rocksdb")]
pub(crate) use source::Inspected;
pub use start::Start;
pub use unreadable::Unreadable;
pub use untyped::{EntityCall, EntityHandle, EntitySignal};

pub use crate::model::instance::{OrchestrationStatus, StopKind, Stopped, Unregistered, UnregisteredKind};
