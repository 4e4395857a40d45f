//! The hub: how it is built, opened, looked at and closed.

mod builder;
#[cfg(feature = "rocksdb")]
mod check;
mod handle;
#[cfg(feature = "rocksdb")]
mod inspect;
mod names;
mod stats;
#[cfg(feature = "rocksdb")]
mod summary;

pub use builder::HubBuilder;
#[cfg(feature = "rocksdb")]
pub(crate) use builder::{WAL_LIMIT, memory_of_store};
#[cfg(feature = "rocksdb")]
pub use check::{CheckProblem, CheckReport, CheckedTable};
pub use handle::Hub;
#[cfg(feature = "rocksdb")]
pub use inspect::{Inspection, ReplayProblem, ReplayReport};
pub use stats::HubStats;
#[cfg(feature = "rocksdb")]
pub use summary::HubSummary;
