//! What the benches measure the library against. Not part of the public interface: it changes with any version.

use crate::hub::{WAL_LIMIT, memory_of_store};
use crate::store;

/// The options of RocksDB of a hub with this memory budget and the log limit that a hub has if nothing is said.
pub fn rocksdb_options(memory_budget: usize) -> rocksdb::Options {
    store::options(memory_of_store(memory_budget), WAL_LIMIT)
}
