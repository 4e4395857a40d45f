//! The store of a hub in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Batch, Change, Reader, Store, StoreStats, Visitor};
use crate::error::{Error, ErrorKind, Result};

/// All rows. Clones share them; a change copies them only while a clone is alive.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows(Arc<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Rows {
    /// Applies the changes of a batch. `replaced` receives each changed key with the previous value.
    pub(super) fn apply(&mut self, batch: &Batch, mut replaced: impl FnMut(&[u8], Option<Vec<u8>>)) {
        let rows = Arc::make_mut(&mut self.0);
        for change in batch.changes() {
            match change {
                Change::Put { key, value } => replaced(key, rows.insert(key.to_vec(), value.to_vec())),
                Change::Insert { key, value } => {
                    let before = rows.insert(key.to_vec(), value.to_vec());
                    debug_assert!(before.is_none(), "{key:?} was inserted but already exists");
                    replaced(key, before);
                }
                Change::Delete { key } => replaced(key, rows.remove(key)),
            }
        }
    }
}

#[cfg(test)]
impl Rows {
    pub(super) fn to_map(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        BTreeMap::clone(&self.0)
    }
}

#[cfg(test)]
impl From<BTreeMap<Vec<u8>, Vec<u8>>> for Rows {
    fn from(rows: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        Self(Arc::new(rows))
    }
}

impl Reader for Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(key).cloned())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        Ok(keys.iter().map(|key| self.0.get(key).cloned()).collect())
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        // `BTreeMap::range` panics on a range that ends before it begins. RocksDB finds no rows in such a range.
        if !range.is_empty() {
            for (key, value) in self.0.range(range) {
                if visitor(key, value).is_break() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The store of a hub in memory. It lives as long as the hub.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    rows: Mutex<Rows>,
}

impl MemoryStore {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Creates a store with these rows.
    #[cfg(feature = "testing")]
    pub(super) fn of(rows: Rows) -> Self {
        Self { rows: Mutex::new(rows) }
    }

    /// Ignores poisoning: only a broken invariant panics under the lock, and that poisons the hub.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn write(&self, batch: &Batch) -> Result<()> {
        self.rows().apply(batch, |_, _| {});
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn acknowledge(&self, _commit: u64) -> Result<()> {
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(self.rows().clone())
    }

    fn checkpoint(&self, _directory: &Path, _commit: u64) -> Result<()> {
        Err(no_directory())
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    fn close(&self, _commit: u64) -> Result<()> {
        Ok(())
    }
}

impl Reader for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.rows().get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.rows().get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.rows().visit(range, visitor)
    }
}

pub(super) fn no_directory() -> Error {
    Error::new(
        ErrorKind::Configuration,
        "an in-memory hub has no directory to copy; open the hub on a directory to make checkpoints",
    )
}
