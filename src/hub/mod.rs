//! The hub: how it is built, opened, looked at and closed.

mod builder;
mod handle;
mod names;
mod stats;

pub use builder::HubBuilder;
#[cfg(feature = "rocksdb")]
pub(crate) use builder::{WAL_LIMIT, memory_of_store};
pub use handle::Hub;
pub use stats::HubStats;
