//! The in-memory store, for hubs without a disk and for simulation, where it crashes on demand.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Batch, Change, Reader, Store, StoreStats, Visitor};
use crate::error::{Error, ErrorKind, Result};

/// All rows, shared with the snapshots. A write copies them only while a snapshot is alive.
type Rows = Arc<BTreeMap<Vec<u8>, Vec<u8>>>;

/// The undo record of one written batch: each changed key and its previous value, in the order of the changes.
type Undo = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A store that holds everything in memory and knows what would survive a crash.
///
/// It keeps the newest rows and an undo record for each batch since the last sync. So a sync is free and the rows exist
/// only once.
#[derive(Debug, Default)]
pub(crate) struct Model {
    state: Mutex<State>,
    /// Held by a test to delay writes.
    stall: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    rows: Rows,
    unsynced: Vec<Undo>,
    acknowledged: u64,
    closed: Option<u64>,
    faults: Faults,
}

/// The failures that a test has requested.
#[derive(Debug, Default)]
struct Faults {
    /// Number of further writes that succeed. `None` means all.
    writes: Option<u64>,
    /// Number of further syncs that succeed. `None` means all.
    syncs: Option<u64>,
    /// Set by the first failure. Like RocksDB, the store then refuses every change.
    failed: bool,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Ignores poisoning: a panic may leave half a batch, but the test that panicked is over.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Faults {
    fn before_write(&mut self) -> Result<()> {
        let due = Self::count_down(&mut self.writes);
        self.fail_if(due, "write")
    }

    fn before_sync(&mut self) -> Result<()> {
        let due = Self::count_down(&mut self.syncs);
        self.fail_if(due, "sync")
    }

    /// Returns `true` if the requested failure is due now.
    fn count_down(left: &mut Option<u64>) -> bool {
        match left {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }

    fn fail_if(&mut self, due: bool, what: &str) -> Result<()> {
        self.failed |= due;
        if self.failed {
            return Err(Error::new(
                ErrorKind::Io,
                format!("the in-memory store fails this {what} because a test requested it"),
            ));
        }
        Ok(())
    }
}

/// Inspection and faults for tests.
#[cfg(test)]
impl Model {
    /// Returns the number of batches that a crash could lose: those written since the last sync.
    pub(crate) fn unsynced(&self) -> usize {
        self.state().unsynced.len()
    }

    /// Returns the commit that was acknowledged last.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.state().acknowledged
    }

    /// Returns the commit with which the store was closed, if it was.
    pub(crate) fn closed(&self) -> Option<u64> {
        self.state().closed
    }

    /// Returns the store after a crash: everything up to the last sync and the first `keep` batches after it.
    ///
    /// The store itself is unchanged, so a test can crash the same state in several ways. Requested faults are not
    /// inherited.
    pub(crate) fn crash(&self, keep: usize) -> Self {
        let state = self.state();
        let mut rows = BTreeMap::clone(&state.rows);
        for undo in state.unsynced.iter().skip(keep).rev() {
            for (key, before) in undo.iter().rev() {
                match before {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
        let crashed = State {
            rows: Arc::new(rows),
            acknowledged: state.acknowledged,
            ..State::default()
        };
        Self {
            state: Mutex::new(crashed),
            stall: Mutex::default(),
        }
    }

    /// Lets `succeed` more writes pass. The write after them fails, and from then on every change.
    pub(crate) fn fail_write_after(&self, succeed: u64) {
        self.state().faults.writes = Some(succeed);
    }

    /// Withdraws the requested failures that have not happened.
    pub(crate) fn withdraw_faults(&self) {
        let faults = &mut self.state().faults;
        (faults.writes, faults.syncs) = (None, None);
    }

    pub(crate) fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        BTreeMap::clone(&self.state().rows)
    }

    /// Blocks writes until the guard is dropped.
    pub(crate) fn stall(&self) -> MutexGuard<'_, ()> {
        self.stall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `succeed` more syncs pass. The sync after them fails, and from then on every change.
    pub(crate) fn fail_sync_after(&self, succeed: u64) {
        self.state().faults.syncs = Some(succeed);
    }
}

impl Store for Model {
    fn write(&self, batch: &Batch) -> Result<()> {
        drop(self.stall.lock());
        let mut state = self.state();
        state.faults.before_write()?;
        let rows = Arc::make_mut(&mut state.rows);
        let undo = batch
            .changes()
            .map(|change| match change {
                Change::Put { key, value } => (key.to_vec(), rows.insert(key.to_vec(), value.to_vec())),
                Change::Insert { key, value } => {
                    let before = rows.insert(key.to_vec(), value.to_vec());
                    debug_assert!(before.is_none(), "{key:?} was inserted but already exists");
                    (key.to_vec(), before)
                }
                Change::Delete { key } => (key.to_vec(), rows.remove(key)),
            })
            .collect();
        state.unsynced.push(undo);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state();
        state.faults.before_sync()?;
        state.unsynced.clear();
        Ok(())
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        self.state().acknowledged = commit;
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(Snapshot(Arc::clone(&self.state().rows)))
    }

    fn checkpoint(&self, _directory: &Path, _commit: u64) -> Result<()> {
        Err(Error::new(
            ErrorKind::Configuration,
            "an in-memory hub has no directory to copy; open the hub on a directory to make checkpoints",
        ))
    }

    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    fn close(&self, commit: u64) -> Result<()> {
        self.sync()?;
        let mut state = self.state();
        state.acknowledged = commit;
        state.closed = Some(commit);
        Ok(())
    }
}

impl Reader for Model {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.state().rows.get(key).cloned())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        get_many(&self.state().rows, keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        visit(&self.state().rows, range, visitor);
        Ok(())
    }
}

/// The rows at one point in time.
struct Snapshot(Rows);

impl Reader for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(key).cloned())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        get_many(&self.0, keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        visit(&self.0, range, visitor);
        Ok(())
    }
}

fn get_many(rows: &Rows, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
    Ok(keys.iter().map(|key| rows.get(key).cloned()).collect())
}

fn visit(rows: &Rows, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) {
    // `BTreeMap::range` panics on a range that ends before it begins. RocksDB finds no rows in such a range.
    if range.is_empty() {
        return;
    }
    for (key, value) in rows.range(range) {
        if visitor(key, value).is_break() {
            break;
        }
    }
}

#[cfg(test)]
mod tests;
