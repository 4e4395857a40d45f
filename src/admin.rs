//! Administration of a hub: dead letters, locks, quarantine, statistics, and the inspection of a stopped hub.

pub use crate::client::admin::Admin;
pub use crate::client::registered::{Registered, RegisteredEntity, RegisteredOperation, RegisteredOrchestration};
#[cfg(feature = "rocksdb")]
pub use crate::hub::check::{CheckProblem, CheckReport, CheckedTable};
#[cfg(feature = "rocksdb")]
pub use crate::hub::inspect::{Inspection, ReplayProblem, ReplayReport};
pub use crate::hub::stats::HubStats;
#[cfg(feature = "rocksdb")]
pub use crate::hub::summary::HubSummary;
pub use crate::views::activities::{ActivityCount, ActivitySummary, OpenActivity};
pub use crate::views::dead_letters::DeadLetter;
pub use crate::views::entity::{
    EntityDetails, EntityQuarantine, MessageKind, ScheduledOperation, StateChange, WaitingMessage,
};
pub use crate::views::locks::EntityLock;
pub use crate::views::quarantine::QuarantinedEntity;
