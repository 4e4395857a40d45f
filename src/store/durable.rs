//! A store that consists of a log, fronts and a base. A write goes to the log and to a front; the base follows later.
//!
//! ```text
//! write ──► log, in memory ──► front                   (waits for no disk)
//! sync  ──► log, on disk
//! work  ──► freeze the front ──► make it durable ──► base ──► trim the log
//! ```
//!
//! The base always has exactly the commits up to a certain commit, and the log has all commits after that one.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::front::{Front, Fronts, View};
use super::{Batch, Reader, Visitor};
use crate::error::{Error, ErrorKind, Result};
use crate::log::Log;
use crate::planted::{self, Fault};

/// The store below the fronts, which takes rows in large, ordered portions.
pub(super) trait Base: Reader + Send + Sync + fmt::Debug {
    /// Writes the rows of a front atomically and makes them durable.
    fn take(&self, front: &Front) -> Result<()>;

    /// Returns a view that later writes do not change.
    fn snapshot(&self) -> Box<dyn Reader + '_>;

    /// Stops the background work, which ends any wait inside [`take`](Self::take).
    fn stop(&self) {}
}

/// A base that others read as well.
impl<B: Base> Base for Arc<B> {
    fn take(&self, front: &Front) -> Result<()> {
        B::take(self, front)
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        B::snapshot(self)
    }

    fn stop(&self) {
        B::stop(self);
    }
}

/// Limits on the data that is kept in memory and in the log until the base has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Size of the active front, in bytes.
    pub(super) front_bytes: usize,
    /// Size of the log that an open after a crash may have to read, in bytes.
    pub(super) log_bytes: u64,
}

/// A log, fronts and a base.
#[derive(Debug)]
pub(super) struct Durable<L, B> {
    log: L,
    base: B,
    fronts: Arc<Fronts>,
    bounds: Bounds,
    state: Mutex<State>,
    /// Wakes the worker thread.
    work: Condvar,
    /// Notified when something becomes durable, reaches the base or fails.
    moved: Condvar,
    failed: AtomicBool,
    stalls: AtomicU64,
    /// Changes in the fronts that the base has taken, and the rows that remained of them after merging.
    changes: AtomicU64,
    rows: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// The newest durable commit.
    durable: u64,
    /// The newest commit that the base has.
    kept: u64,
    /// The newest commit that a caller waits for the base to have.
    wanted: u64,
    /// True while the worker thread waits for work.
    is_idle: bool,
    /// Number of threads that wait for `moved`.
    waiting: usize,
    is_stopping: bool,
    error: Option<Error>,
}

/// The next task of the worker thread.
enum Task {
    MakeRoom,
    Materialize,
    End,
}

/// Fails the store when a thread panics during an operation: the operation is unfinished, and later work must not rely
/// on it.
struct PoisonOnPanic<'a, L: Log, B: Base> {
    store: &'a Durable<L, B>,
}

impl<L: Log, B: Base> Drop for PoisonOnPanic<'_, L, B> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = "a thread of the store panicked; open the hub again";
            self.store.fail(&Error::new(ErrorKind::Poisoned, text));
        }
    }
}

/// The state of a store besides its log.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) front_rows: u64,
    pub(super) front_bytes: u64,
    /// Commits that the base does not have yet.
    pub(super) lag: u64,
    pub(super) stalls: u64,
    pub(super) materialized_changes: u64,
    pub(super) materialized_rows: u64,
}

impl<L: Log, B: Base> Durable<L, B> {
    /// Creates a store whose base has the commits up to `kept` and whose `fronts` have the others. All of them are
    /// durable.
    pub(super) fn new(log: L, base: B, fronts: impl Into<Arc<Fronts>>, kept: u64, bounds: Bounds) -> Self {
        let fronts = fronts.into();
        let durable = fronts.newest();
        Self {
            log,
            base,
            fronts,
            bounds,
            state: Mutex::new(State {
                durable,
                kept,
                wanted: kept,
                is_idle: false,
                waiting: 0,
                is_stopping: false,
                error: None,
            }),
            work: Condvar::new(),
            moved: Condvar::new(),
            failed: AtomicBool::new(false),
            stalls: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            rows: AtomicU64::new(0),
        }
    }

    /// Writes the next commit, which is visible immediately and durable after the next sync. It waits only if the base
    /// cannot keep up.
    pub(super) fn write(&self, batch: &Batch) -> Result<()> {
        self.check()?;
        if self.is_full() {
            self.wait_for_room()?;
        }
        self.fronts
            .apply(batch.changes(), |commit| self.log.append(commit, batch.encoded()));
        Ok(())
    }

    /// Makes every write that preceded the call durable. An error is final.
    pub(super) fn sync(&self) -> Result<()> {
        self.check()?;
        let _panic = PoisonOnPanic { store: self };
        match self.log.sync() {
            Ok(durable) => {
                let mut state = self.state();
                // Another thread may have synced more commits and been faster.
                state.durable = state.durable.max(durable);
                self.stir(state);
                Ok(())
            }
            Err(error) => {
                self.fail(&error);
                // Another thread may have failed first, with the error that caused this one.
                self.check()
            }
        }
    }

    /// Moves all durable commits to the base and waits until the base has them.
    pub(super) fn materialize(&self) -> Result<()> {
        let mut state = self.state();
        let wanted = state.durable;
        state.wanted = state.wanted.max(wanted);
        self.stir(state);
        self.wait(self.state(), |state| state.kept >= wanted)
    }

    pub(super) fn view(&self) -> View<'_> {
        View::newest(&self.fronts, || self.base.snapshot())
    }

    pub(super) fn base(&self) -> &B {
        &self.base
    }

    pub(super) fn log(&self) -> &L {
        &self.log
    }

    pub(super) fn progress(&self) -> Progress {
        let size = self.fronts.size();
        let kept = self.state().kept;
        Progress {
            front_rows: size.rows as u64,
            front_bytes: size.bytes as u64,
            lag: self.fronts.newest().saturating_sub(kept),
            stalls: self.stalls.load(Ordering::Relaxed),
            materialized_changes: self.changes.load(Ordering::Relaxed),
            materialized_rows: self.rows.load(Ordering::Relaxed),
        }
    }

    /// Returns the error that stopped the store, if any.
    fn check(&self) -> Result<()> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let error = self.state().error.clone();
        Err(error.unwrap_or_else(|| Error::new(ErrorKind::Poisoned, "the store has failed; open the hub again")))
    }

    /// Fails the store with an error. The first error wins.
    fn fail(&self, error: &Error) {
        let mut state = self.state();
        state.error.get_or_insert_with(|| error.clone());
        self.failed.store(true, Ordering::Release);
        drop(state);
        self.moved.notify_all();
        self.work.notify_all();
    }

    /// Returns `true` if a write has to wait because the base is behind or too much data is not durable.
    fn is_full(&self) -> bool {
        if planted::is(Fault::UnlimitedFront) {
            return false;
        }
        let (size, log) = (self.fronts.size(), self.log.stats());
        size.active_bytes >= 2 * self.bounds.front_bytes
            || log.unsynced_bytes >= self.bounds.front_bytes as u64
            // With no rows in the fronts, the rest of the log is a segment without needed records.
            || log.live_bytes >= 2 * self.bounds.log_bytes && size.rows > 0
    }

    fn wait_for_room(&self) -> Result<()> {
        self.stalls.fetch_add(1, Ordering::Relaxed);
        self.stir(self.state());
        self.wait(self.state(), |_| !self.is_full())
    }

    /// Waits until `is_so` returns `true`.
    fn wait(&self, mut state: MutexGuard<'_, State>, is_so: impl Fn(&State) -> bool) -> Result<()> {
        loop {
            if let Some(error) = &state.error {
                return Err(error.clone());
            }
            if is_so(&state) {
                return Ok(());
            }
            if state.is_stopping {
                return Err(Error::new(ErrorKind::Closed, "the store is closed; open the hub again"));
            }
            state.waiting += 1;
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// Wakes the threads that wait for the change that was just made.
    fn stir(&self, mut state: MutexGuard<'_, State>) {
        let (is_waited_for, is_idle) = (state.waiting > 0, state.is_idle);
        let has_work = is_idle && self.next(&state).is_some();
        if has_work {
            state.is_idle = false;
        }
        drop(state);
        if is_waited_for {
            self.moved.notify_all();
        }
        if has_work {
            self.work.notify_one();
        }
    }

    /// Returns the next task, if there is one.
    fn next(&self, state: &State) -> Option<Task> {
        if state.is_stopping || state.error.is_some() {
            return Some(Task::End);
        }
        if self.log.wants_room() {
            return Some(Task::MakeRoom);
        }
        let is_large = self.fronts.size().active_bytes >= self.bounds.front_bytes
            || self.log.stats().live_bytes >= self.bounds.log_bytes
            || self.log.stats().unsynced_bytes >= self.bounds.front_bytes as u64;
        let is_due = state.wanted > state.kept || is_large && !planted::is(Fault::UnlimitedFront);
        (is_due && self.fronts.newest() > state.kept).then_some(Task::Materialize)
    }

    /// Runs the background tasks until [`stop`](Self::stop) or an error.
    pub(super) fn work(&self) {
        let _panic = PoisonOnPanic { store: self };
        loop {
            let done = match self.wait_for_work() {
                Task::MakeRoom => self.log.make_room(),
                Task::Materialize => self.materialize_next(),
                Task::End => return,
            };
            if let Err(error) = done {
                self.fail(&error);
            }
        }
    }

    /// Makes [`work`](Self::work) return.
    pub(super) fn stop(&self) {
        self.state().is_stopping = true;
        self.base.stop();
        self.moved.notify_all();
        self.work.notify_all();
    }

    fn wait_for_work(&self) -> Task {
        let mut state = self.state();
        loop {
            if let Some(task) = self.next(&state) {
                state.is_idle = false;
                return task;
            }
            state.is_idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Moves all commits written so far to the base.
    pub(super) fn materialize_next(&self) -> Result<()> {
        let (commit, front) = self.freeze();
        if let Some(front) = front {
            self.bring(&front)?;
        }
        self.keep(commit)
    }

    /// Begins a new front. Returns the newest commit and the front that has it, unless the base already has it.
    fn freeze(&self) -> (u64, Option<Arc<Front>>) {
        let frozen = self.fronts.freeze();
        // Writers that waited for room can proceed.
        self.stir(self.state());
        frozen
    }

    /// Writes a front to the base.
    fn bring(&self, front: &Front) -> Result<()> {
        // The base must not have commits that are not durable in the log: a power loss would leave a gap between the
        // two.
        if self.state().durable < front.commit() {
            self.sync()?;
        }
        self.base.take(front)?;
        self.changes.fetch_add(front.changes(), Ordering::Relaxed);
        self.rows.fetch_add(front.rows() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Records that the base has the commits up to `kept`, and discards their front and their log records.
    fn keep(&self, kept: u64) -> Result<()> {
        self.fronts.retire();
        self.log.trim(kept)?;
        let mut state = self.state();
        state.kept = kept;
        self.stir(state);
        Ok(())
    }

    /// Ignores poisoning: each change is one assignment, so a panic leaves no partial change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Log, B: Base> Reader for Durable<L, B> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.fronts.get(key).map_or_else(|| self.base.get(key), Ok)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.fronts.get_many(keys, &self.base)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.view().visit(range, visitor)
    }
}

#[cfg(test)]
pub(crate) mod tests;
