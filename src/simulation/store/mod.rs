//! The store of a run: in three of four seeds the one that a hub has in production, but for RocksDB, on a machine in memory. The
//! model runs beside it and says what it has to show.
//!
//! `host` is what outlives the processes and decides how they end and begin, `twin` is the store of one life, and `compared` reads
//! from both.

mod compared;
mod host;
mod twin;

pub(super) use host::Host;
