//! The store of a run. In three of four seeds it is the production store without RocksDB, on an in-memory machine. The
//! model runs beside it and defines the expected content.
//!
//! `host` outlives the processes and decides how they end and begin, `twin` is the store of one process, and `compared`
//! reads from both.

mod compared;
mod host;
mod tenure;
mod twin;

pub(super) use host::Host;
pub(super) use tenure::Tenure;
