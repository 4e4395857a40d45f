//! Storage: the [`Store`] trait, its two implementations, the keys and the records.

mod batch;
#[cfg(any(feature = "rocksdb", feature = "fuzzing"))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code, unused_imports))]
pub(crate) mod directory;
pub(crate) mod divided;
// Without RocksDB, only the simulation uses these modules.
#[cfg(any(feature = "rocksdb", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
mod durable;
#[cfg(any(feature = "rocksdb", test))]
#[cfg_attr(not(feature = "rocksdb"), allow(dead_code))]
mod front;
#[cfg(feature = "testing")]
mod killable;
mod memory;
#[cfg(test)]
mod model;
#[cfg(feature = "rocksdb")]
pub(crate) mod rocks;
#[cfg(feature = "cluster")]
mod standby;

use std::fmt;
use std::ops::{ControlFlow, Range, RangeInclusive};
use std::path::Path;
use std::sync::Arc;

#[cfg(any(feature = "rocksdb", feature = "fuzzing", test))]
pub(crate) use batch::Changes;
pub(crate) use batch::{Batch, Change};
#[cfg(test)]
pub(crate) use durable::tests::{
    by_hand::ByHand,
    machine::{Machine, Sizes},
};
#[cfg(feature = "testing")]
pub(crate) use killable::{DiskImage, KillableStore};
pub(crate) use memory::MemoryStore;
#[cfg(test)]
pub(crate) use model::Model;
#[cfg(all(test, feature = "cluster"))]
pub(crate) use rocks::replicated::{LogBug, Nodes, Owner, ShardMark};
#[cfg(feature = "rocksdb")]
pub(crate) use rocks::{Inspected, OpenOptions, ReadOnlyStore, is_no_hub, open, open_read_only, open_unchecked};
#[cfg(feature = "cluster")]
pub(crate) use standby::StandbyStore;

use crate::error::Result;

/// Allowed numbers of partitions.
pub(crate) const PARTITIONS: RangeInclusive<u16> = 1..=4096;

/// Default number of partitions of a new hub.
pub(crate) const USUAL_PARTITIONS: u16 = 64;

/// Default memory budget of a hub, in bytes.
pub(crate) const MEMORY_BUDGET: usize = 256 << 20;

/// Default bound of the data that an open after a kill has to read, in bytes. Reading half of it (32 MiB of small rows)
/// took 0.06 to 0.07 s on two cores.
pub(crate) const LOG_LIMIT: u64 = 64 << 20;

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// Reads from a consistent view of the store, or from its newest state.
pub(crate) trait Reader {
    /// Returns the value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Returns the values of `keys`, in the same order.
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>>;

    /// Passes the rows of `range` to `visitor` in key order, without copying, until the visitor breaks.
    /// The visitor must not use the store, which may be locked during the call.
    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()>;

    /// Returns the first `limit` rows of `range`, in key order.
    ///
    /// Use it only for tables with few or small rows. Where rows may be as large as a payload, [`page`](Self::page)
    /// bounds the memory.
    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Row>> {
        let bounds = PageBounds {
            rows: limit,
            bytes: usize::MAX,
        };
        Ok(self.page(range, bounds)?.rows)
    }

    /// Returns the first rows of `range`, in key order, within `bounds`.
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

    /// Returns the first `limit` keys of `range`, in order, regardless of the size of their values.
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

impl<R: Reader> Reader for Arc<R> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        R::get(self, key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        R::get_many(self, keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        R::visit(self, range, visitor)
    }
}

/// A callback that receives a key and its value and decides whether the visit continues.
pub(crate) type Visitor<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Limits on the rows that one read loads into memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageBounds {
    pub(crate) rows: usize,
    /// A page ends with the row that reaches this size, so it has at least one row.
    pub(crate) bytes: usize,
}

impl PageBounds {
    /// A page large enough to be worth a read and small enough for memory.
    pub(crate) const USUAL: Self = Self {
        rows: 256,
        bytes: 1 << 20,
    };
}

/// The rows that one read returned.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Row>,
    /// The total size of the keys and values.
    pub(crate) bytes: usize,
    /// True if the bounds ended the page, so more rows may follow.
    pub(crate) full: bool,
}

/// The store of a hub. Every error of `write`, `sync` and `acknowledge` is final: the caller poisons the hub and never
/// retries.
pub(crate) trait Store: Reader + Send + Sync + fmt::Debug {
    /// Appends one batch atomically to the log as the next commit and makes it visible to reads. The batch is not
    /// durable yet.
    fn write(&self, batch: &Batch) -> Result<()>;

    /// Makes every write that preceded the call durable.
    fn sync(&self) -> Result<()>;

    /// Returns `true` if a read is confirmed only by a [`sync`](Self::sync) or a [`confirm`](Self::confirm) that begins
    /// after it: another process may have taken over the store, and this one does not know it yet.
    fn confirms_reads(&self) -> bool {
        false
    }

    /// Checks that no other process had taken over the store when the call began.
    fn confirm(&self) -> Result<()> {
        Ok(())
    }

    /// Records outside the log, for the next open, that `commit` is durable. The caller calls it after `sync` and
    /// before it reports the commit to anyone.
    ///
    /// The mark survives the end of the process immediately. It survives a power loss only if it is flushed, and a call
    /// flushes it when the last flush was at least a second ago. Therefore the caller repeats its last call after a
    /// second without commits; the repeated call is free if there is nothing to flush.
    fn acknowledge(&self, commit: u64) -> Result<()>;

    /// Returns a consistent view that later writes do not change.
    fn snapshot(&self) -> Box<dyn Reader + '_>;

    /// Copies all durable data consistently to a new directory. `commit` is the newest commit known to be durable.
    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()>;

    /// Returns the statistics of the store.
    fn stats(&self) -> StoreStats;

    /// Records outside the log, for the next open, that the process abandoned the store in an orderly way. Activities
    /// that were running then do not count as running during a crash. It is called for a store that is not closed,
    /// including one that has failed.
    fn leave(&self) -> Result<()> {
        Ok(())
    }

    /// Flushes memory to disk and marks the store as cleanly closed. `commit` is the newest commit.
    fn close(&self, commit: u64) -> Result<()>;
}

/// Statistics of a store: its work since it was opened, and its memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StoreStats {
    /// Bytes appended to the log.
    pub(crate) wal_bytes: u64,
    /// Approximate number of log bytes that an open after a kill would have to read.
    pub(crate) wal_live_bytes: u64,
    /// Memory of cached blocks, in bytes.
    pub(crate) block_cache_bytes: u64,
    /// Rows in memory that RocksDB does not have yet.
    pub(crate) front_rows: u64,
    /// Memory of these rows, in bytes.
    pub(crate) front_bytes: u64,
    /// Commits that RocksDB does not have yet.
    pub(crate) front_lag: u64,
    /// Number of writes that had to wait because RocksDB or the disk was behind.
    pub(crate) front_stalls: u64,
    /// Changes in the commits that were written to RocksDB.
    pub(crate) materialized_changes: u64,
    /// Rows that remained of these changes after merging and were written.
    pub(crate) materialized_rows: u64,
}
