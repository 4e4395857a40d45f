//! The hub: configuration, opening and shutdown.

mod builder;
#[cfg(feature = "rocksdb")]
pub(crate) mod check;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "cluster")]
pub(crate) mod database;
mod handle;
#[cfg(feature = "rocksdb")]
pub(crate) mod inspect;
mod names;
#[cfg(feature = "cluster")]
mod node;
mod running;
pub(crate) mod stats;
#[cfg(feature = "rocksdb")]
pub(crate) mod summary;

pub use builder::HubBuilder;
#[cfg(feature = "testing")]
pub(crate) use builder::OpenStore;
pub use handle::Hub;

pub use crate::client::retention::Retention;
pub use crate::engine::VersionPolicy;
