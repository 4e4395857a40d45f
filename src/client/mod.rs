//! The client: calls and signals entities, starts and manages orchestrations, and queries and administers a hub.

mod activities;
pub(crate) mod admin;
mod arguments;
mod caller;
mod changes;
mod dead_letters;
mod draw;
mod entities;
mod handle;
mod history;
mod json;
mod list;
mod live;
mod locks;
mod manage;
mod orchestration;
mod orchestrations;
mod quarantine;
pub(crate) mod registered;
mod replay;
mod reply;
pub(crate) mod retention;
mod signal;
mod source;
mod start;
mod status;
pub(crate) mod submit;
#[cfg(test)]
mod tests;
mod tree;
mod untyped;
mod wait_until;
mod waiting;

pub use crate::engine::{ChangeKind, InstanceChange};
pub use crate::views::info::OrchestrationInfo;
pub use crate::views::pages::Page;
pub use crate::views::tree::OrchestrationTree;
pub use crate::views::unreadable::Unreadable;
pub use crate::views::view::ActivityProgress;
pub use crate::views::waiting::{Cause, EntityBlock, UnreadEvents, WaitReason, Waiting, WaitingStep};
pub use activities::ActivityQuery;
pub use changes::{ChangeBatch, ChangeQuery, Changes};
pub use entities::{EntityInfo, EntityQuery};
pub use handle::Client;
pub use list::List;
pub use manage::{Purge, RaiseEvent, Terminate};
#[cfg(feature = "cluster")]
pub(crate) use orchestration::wait_for_end;
pub use orchestration::{AnyOrchestration, OrchestrationHandle};
pub use orchestrations::{
    Batch, BatchAction, BatchError, BatchProgress, BatchReport, FailureGroup, Failures, OrchestrationCount,
    OrchestrationQuery,
};
pub use orchestrations::{Timeline, TimelineBar};
pub use replay::{OpenStep, ReplayOutcome, TurnState};
pub use signal::{Cancel, Cancellation, ScheduledSignal, Signal};
#[cfg(feature = "rocksdb")]
pub(crate) use source::Inspected;
pub use start::Start;
pub use status::Status;
pub use untyped::{EntityCall, EntityHandle, EntitySignal};

pub use crate::model::orchestration::{OrchestrationStatus, StopKind, Stopped, Unregistered, UnregisteredKind};
