//! A store in memory that loses what was not synced when its process is killed. For tests.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::memory::{MemoryStore, Rows, no_directory};
use super::{Batch, Reader, Store, StoreStats, Visitor};
use crate::error::Result;

/// A store in memory that loses what was not synced when its process is killed.
#[derive(Debug)]
pub(crate) struct KillableStore {
    newest: MemoryStore,
    disk: Mutex<Disk>,
}

#[derive(Debug)]
struct Disk {
    synced: Rows,
    /// The commits that were written since the last sync.
    unsynced: Vec<Batch>,
    /// A hash of all commits that were written.
    fingerprint: u64,
}

/// The rows of a [`KillableStore`] after its process was killed.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskImage(Rows);

impl KillableStore {
    /// Opens the rows that an earlier process has left.
    pub(crate) fn open(image: DiskImage) -> Self {
        Self {
            newest: MemoryStore::of(image.0.clone()),
            disk: Mutex::new(Disk {
                synced: image.0,
                unsynced: Vec::new(),
                fingerprint: 0,
            }),
        }
    }

    /// Returns the number of commits that were written since the last sync.
    pub(crate) fn unsynced(&self) -> usize {
        self.disk().unsynced.len()
    }

    /// Returns a hash of all commits that were written, to compare two runs.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.disk().fingerprint
    }

    /// Returns what is left if the process is killed now and the disk has kept the first `kept` of the commits that were
    /// not synced. A log keeps commits in order, so there are no gaps.
    pub(crate) fn image(&self, kept: usize) -> DiskImage {
        let disk = self.disk();
        let mut rows = disk.synced.clone();
        for batch in disk.unsynced.iter().take(kept) {
            rows.apply(batch, |_, _| {});
        }
        DiskImage(rows)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for KillableStore {
    fn write(&self, batch: &Batch) -> Result<()> {
        let mut disk = self.disk();
        disk.fingerprint = xxh3_64_with_seed(batch.encoded(), disk.fingerprint);
        disk.unsynced.push(batch.clone());
        drop(disk);
        self.newest.write(batch)
    }

    fn sync(&self) -> Result<()> {
        let mut disk = self.disk();
        for batch in std::mem::take(&mut disk.unsynced) {
            disk.synced.apply(&batch, |_, _| {});
        }
        Ok(())
    }

    fn acknowledge(&self, _commit: u64) -> Result<()> {
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        self.newest.snapshot()
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

impl Reader for KillableStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.newest.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.newest.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.newest.visit(range, visitor)
    }
}

impl Reader for DiskImage {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.0.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.0.visit(range, visitor)
    }
}
