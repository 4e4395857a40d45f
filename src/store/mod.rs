//! What is on disk: one trait, its two implementations, the keys and the records.

mod batch;
#[cfg(feature = "rocksdb")]
pub(crate) mod directory;
pub(crate) mod instances;
pub(crate) mod keys;
mod model;
pub(crate) mod records;
#[cfg(feature = "rocksdb")]
mod rocks;

use std::fmt;
use std::ops::Range;
use std::path::Path;

pub(crate) use batch::{Batch, Change};
pub(crate) use model::Model;
#[cfg(feature = "rocksdb")]
pub(crate) use rocks::{
    Inspected, OpenOptions, ReadOnlyStore, is_no_hub, open, open_read_only, open_unchecked, options,
};

use crate::error::Result;

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// Reads of one consistent state of the store, or of its newest one.
pub(crate) trait Reader {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// The values of `keys`, in their order.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>>;

    /// The first `limit` rows of `range`, in key order.
    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Row>>;
}

/// The store under a hub. Every error of `write`, `sync` and `acknowledge` is final: the caller poisons the hub and never
/// tries again.
pub(crate) trait Store: Reader + Send + Sync + fmt::Debug {
    /// Appends one batch to the log, whole or not at all, and makes it visible to reads. It is not durable yet.
    fn write(&self, batch: &Batch) -> Result<()>;

    /// Makes everything durable that was written before the call.
    fn sync(&self) -> Result<()>;

    /// Remembers outside the log, for the next open, that `commit` is durable. Called after `sync` and before anyone
    /// hears of it.
    ///
    /// From here on it outlives the process; it outlives a power loss with the first call that comes a second after the
    /// last one that did. So the caller repeats its last call when a second has passed without commits, which costs
    /// nothing if there is nothing to do.
    fn acknowledge(&self, commit: u64) -> Result<()>;

    /// A consistent view that later writes do not change.
    fn snapshot(&self) -> Box<dyn Reader + '_>;

    /// Makes a consistent copy of everything that is durable in a new directory; `commit` is the newest one known to be durable.
    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()>;

    /// What the store has done and holds.
    fn stats(&self) -> StoreStats;

    /// Writes what is in memory to its place and marks the store as closed cleanly; `commit` is the newest one.
    fn close(&self, commit: u64) -> Result<()>;
}

/// What a store has done since it was opened, and what it holds in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StoreStats {
    /// Bytes that were appended to the log.
    pub(crate) wal_bytes: u64,
    /// Bytes of the log that an open after a kill would have to read, about.
    pub(crate) wal_live_bytes: u64,
    /// Memory for rows that are not in their place yet, in bytes.
    pub(crate) memtable_bytes: u64,
    /// Memory for cached blocks, in bytes.
    pub(crate) block_cache_bytes: u64,
}
