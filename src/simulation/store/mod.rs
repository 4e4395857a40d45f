//! The store of a run. In three of four seeds it is the production store without RocksDB, on an in-memory machine. In a few
//! seeds, each shard is one of a hub on several nodes: its log is in a model of the database, and the copies are in RocksDB.
//! The model runs beside the store and defines the expected content.
//!
//! A `host` outlives the processes and decides how they end and begin: a `machine`, or the `nodes` of a hub. `twin` and
//! `node_twin` are the store of one process, and `compared` reads from the store and the model.

mod compared;
mod host;
mod machine;
#[cfg(feature = "cluster")]
mod node_twin;
#[cfg(feature = "cluster")]
mod nodes;
mod tenure;
mod twin;

pub(super) use host::Host;
pub(super) use tenure::Tenure;
