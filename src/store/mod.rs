//! What is on disk: one trait, its two implementations, the keys and the records.

mod batch;
#[cfg(feature = "rocksdb")]
pub(crate) mod directory;
// Without RocksDB only the simulation uses them.
#[cfg(any(feature = "rocksdb", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
mod durable;
#[cfg(any(feature = "rocksdb", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
mod front;
pub(crate) mod instances;
pub(crate) mod keys;
mod model;
pub(crate) mod records;
#[cfg(feature = "rocksdb")]
mod rocks;

use std::fmt;
use std::ops::{ControlFlow, Range};
use std::path::Path;

#[cfg(any(feature = "rocksdb", test))]
pub(crate) use batch::Changes;
pub(crate) use batch::{Batch, Change};
#[cfg(test)]
pub(crate) use durable::tests::{
    by_hand::ByHand,
    machine::{Machine, Sizes},
};
pub(crate) use model::Model;
#[cfg(feature = "rocksdb")]
pub(crate) use rocks::{
    Inspected, OpenOptions, ReadOnlyStore, configure, is_no_hub, open, open_read_only, open_unchecked,
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

    /// Shows the rows of `range` to `visitor`, in key order, until it has seen enough. Nothing is copied.
    /// The visitor must not use the store: it may be locked meanwhile.
    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()>;

    /// Returns the first `limit` rows of `range`, in key order. Only for tables whose rows are small or whose number is: where
    /// rows may be as large as a payload, [`page`](Self::page) bounds the memory.
    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Row>> {
        let bounds = PageBounds {
            rows: limit,
            bytes: usize::MAX,
        };
        Ok(self.page(range, bounds)?.rows)
    }

    /// Returns the first rows of `range`, in key order, as far as `bounds` allow.
    fn page(&self, range: Range<Vec<u8>>, bounds: PageBounds) -> Result<Page> {
        let mut page = Page::default();
        if bounds.rows == 0 {
            return Ok(page);
        }
        self.visit(range, &mut |key, value| {
            page.bytes += key.len() + value.len();
            page.rows.push((key.to_vec(), value.to_vec()));
            page.full = page.rows.len() >= bounds.rows || page.bytes >= bounds.bytes;
            if page.full {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(page)
    }

    /// Returns the first `limit` keys of `range`, in order, whatever their values weigh.
    fn keys(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        if limit == 0 {
            return Ok(keys);
        }
        self.visit(range, &mut |key, _| {
            keys.push(key.to_vec());
            if keys.len() < limit {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        Ok(keys)
    }

    /// Returns the first key of `range`.
    fn first_key(&self, range: Range<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        Ok(self.keys(range, 1)?.pop())
    }
}

/// Looks at a key and its value, and says whether it wants to see the next ones.
pub(crate) type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// The most that one read brings into memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageBounds {
    pub(crate) rows: usize,
    /// A page ends with the row that reaches this size, so that there is always one row.
    pub(crate) bytes: usize,
}

impl PageBounds {
    /// A page that is worth a read and does not weigh on the memory.
    pub(crate) const USUAL: Self = Self {
        rows: 256,
        bytes: 1 << 20,
    };
}

/// The rows that one read brought.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    /// The size of all keys and values.
    pub(crate) bytes: usize,
    /// Whether the bounds ended it, so that more rows may follow.
    pub(crate) full: bool,
}

/// The store under a hub. Every error of `write`, `sync` and `acknowledge` is final: the caller poisons the hub and never
/// tries again.
pub(crate) trait Store: Reader + Send + Sync + fmt::Debug {
    /// Appends one batch to the log as the next commit, whole or not at all, and makes it visible to reads. It is not durable
    /// yet.
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

    /// Notes outside the log, for the next open, that the process has given up the store in an orderly way: whatever ran was
    /// not running in a crash. It is called for a store that is not closed, also for one that has failed.
    fn leave(&self) -> Result<()> {
        Ok(())
    }

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
    /// Memory for cached blocks, in bytes.
    pub(crate) block_cache_bytes: u64,
    /// Rows in memory that RocksDB does not have yet.
    pub(crate) front_rows: u64,
    /// Memory for these rows, in bytes.
    pub(crate) front_bytes: u64,
    /// Commits that RocksDB does not have yet.
    pub(crate) front_lag: u64,
    /// How often a write had to wait because RocksDB or the disk was behind.
    pub(crate) front_stalls: u64,
    /// Changes of the commits that RocksDB has taken in.
    pub(crate) materialized_changes: u64,
    /// Rows that were left of these changes, and were written.
    pub(crate) materialized_rows: u64,
}
