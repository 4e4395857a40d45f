//! The sans-IO core. Its only I/O is reads through the store's trait. It uses no clock and no randomness.

mod activities;
mod admission;
mod async_operation;
mod audit;
mod batch_times;
mod call_result;
mod changes;
pub(crate) mod code;
mod core;
mod core_step;
mod ctx;
mod dead_letters;
mod fingerprint;
mod limits;
mod locks;
mod mail;
mod mailbox;
mod mailboxes;
pub(crate) mod message;
mod operation;
pub(crate) mod orchestration;
pub(crate) mod outbox;
mod partition;
mod progress;
mod quarantine;
mod queue;
mod registry;
mod requests;
pub(crate) mod scope;
mod settle;
pub(crate) mod spans;
mod states;
mod sweep;
#[cfg(test)]
mod tests;
mod timers;
mod turn;
mod version;
mod waiting;

pub(crate) use self::core::{Core, CoreConfig, Sizes};
pub(crate) use activities::ActivitySlots;
pub use changes::{ChangeKind, InstanceChange};
pub(crate) use changes::{ChangeKinds, NotedChange, WatchedKinds};
pub(crate) use core_step::{CoreStep, Counts, Fact};
pub(crate) use limits::Limits;
#[cfg(feature = "cluster")]
pub(crate) use mail::arrive;
pub(crate) use operation::{caught, panic_text};
pub(crate) use progress::Progress;
pub use registry::VersionPolicy;
pub(crate) use registry::{Registry, version_text};
