//! A store in memory that crashes and fails on demand, for tests and the simulation.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::PoisonError;

use super::memory::{Rows, no_directory};
use super::{Batch, Reader, Store, StoreStats, Visitor};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Mutex, MutexGuard};

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
    /// Another process has taken over the store, and this one does not know it yet.
    is_replaced: bool,
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
        self.still_owns()?;
        let due = Self::count_down(&mut self.syncs);
        self.fail_if(due, "sync")
    }

    fn still_owns(&self) -> Result<()> {
        if self.is_replaced {
            return Err(Error::new(ErrorKind::Replaced, "the test has replaced the store"));
        }
        Ok(())
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

/// Inspection and faults.
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
        let mut rows = state.rows.to_map();
        for undo in state.unsynced.iter().skip(keep).rev() {
            for (key, before) in undo.iter().rev() {
                match before {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
        let crashed = State {
            rows: Rows::from(rows),
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

    /// Returns `true` if a sync fails sooner or later.
    #[cfg(feature = "cluster")]
    pub(crate) fn has_a_fault_for_syncs(&self) -> bool {
        self.state().faults.syncs.is_some()
    }

    pub(crate) fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.state().rows.to_map()
    }

    /// Blocks writes until the guard is dropped.
    pub(crate) fn stall(&self) -> MutexGuard<'_, ()> {
        self.stall.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has another process take over the store. This one learns it from the next [`sync`](Store::sync) or
    /// [`confirm`](Store::confirm).
    pub(crate) fn replace(&self) {
        self.state().faults.is_replaced = true;
    }

    pub(crate) fn is_replaced(&self) -> bool {
        self.state().faults.is_replaced
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
        let mut undo = Undo::new();
        state.rows.apply(batch, |key, before| undo.push((key.to_vec(), before)));
        state.unsynced.push(undo);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state();
        state.faults.before_sync()?;
        state.unsynced.clear();
        Ok(())
    }

    fn confirm(&self) -> Result<()> {
        self.state().faults.still_owns()
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        self.state().acknowledged = commit;
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(self.state().rows.clone())
    }

    fn checkpoint(&self, _directory: &Path, _commit: u64) -> Result<()> {
        Err(no_directory())
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
        self.state().rows.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.state().rows.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.state().rows.visit(range, visitor)
    }
}

#[cfg(test)]
mod tests;
