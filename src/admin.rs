//! Administration of a hub: dead letters, locks, quarantine, statistics, and the inspection of a stopped hub.

pub use crate::client::dead_letters::{DeadLetter, DeadLetterPage};
pub use crate::client::locks::{EntityLock, LockPage};
pub use crate::client::quarantine::{QuarantinePage, QuarantinedEntity};
pub use crate::client::registered::{Registered, RegisteredEntity, RegisteredOperation, RegisteredOrchestration};
#[cfg(feature = "rocksdb")]
pub use crate::hub::check::{CheckProblem, CheckReport, CheckedTable};
#[cfg(feature = "rocksdb")]
pub use crate::hub::inspect::{Inspection, ReplayProblem, ReplayReport};
pub use crate::hub::stats::HubStats;
#[cfg(feature = "rocksdb")]
pub use crate::hub::summary::HubSummary;
