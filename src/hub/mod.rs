//! The hub: how it is built, opened, looked at and closed.

mod builder;
mod handle;
mod names;
mod stats;

pub use builder::HubBuilder;
pub use handle::Hub;
pub use stats::HubStats;
