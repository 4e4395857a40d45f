//! The order of commits and the output gate.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::id::Shard;
use crate::model::{self, CommitRecord};
use crate::planted::{self, Fault};
use crate::schema;
use crate::store::{Batch, Reader, Store};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::time::{Aging, Timestamp};

/// Time without writes after which the newest acknowledgment is settled. A store flushes its acknowledgment at most
/// once per second, so this is slightly longer.
const QUIET: Duration = Duration::from_millis(1_050);

/// A total order of commits, and the outputs that wait at the output gate until the commits are durable.
///
/// `T` is the type of the outputs that leave the process. A caller that receives a `T` from a method without an error
/// may release it. With an error, the hub is poisoned, and the results must not be reported as durable.
pub(crate) struct CommitOrder<T> {
    store: Arc<dyn Store>,
    /// Held from the assignment of a commit's number until its delivery. It is separate from `state`, so callers that
    /// only read the progress do not wait for a slow write.
    writing: Mutex<()>,
    state: Mutex<State<T>>,
    /// Wakes the syncer.
    wake: Condvar,
    /// Notified when a sync has ended.
    synced: Condvar,
    /// True once `state` has the error that poisoned the order. Each request of a hub of several nodes looks at it.
    is_poisoned: AtomicBool,
    next_batch: AtomicU64,
    /// The distance of two batch numbers.
    stride: u64,
    partitions: u16,
    aging: Aging,
    /// See [`Store::confirms_reads`].
    confirms_reads: bool,
}

struct State<T> {
    /// The newest commit whose write has begun. Reads may show it.
    begun: u64,
    /// The newest commit that is written and delivered.
    written: u64,
    /// The newest commit that is known to be on disk.
    durable: u64,
    /// The newest time of a commit of this life. The clock of an earlier life may have been ahead and does not count.
    time: Timestamp,
    /// The outputs that wait, in the order in which they can leave.
    gate: VecDeque<Held<T>>,
    /// The number of these outputs.
    gated: usize,
    /// The error that poisoned the order.
    poison: Option<Error>,
    /// True while the syncer waits to be woken.
    syncer_idle: bool,
    /// True while a sync runs.
    syncing: bool,
    /// The duration of the last sync, if the syncer has noted one.
    last_sync: Option<Duration>,
    /// The newest sync that has begun, the newest one that has ended, and the newest one that an output waits for.
    sync_begun: u64,
    sync_ended: u64,
    sync_wanted: u64,
    /// True if the newest acknowledgment has not been settled yet; see [`Work::Settle`].
    unsettled: bool,
    stopping: bool,
}

/// Outputs that wait at the gate.
struct Held<T> {
    /// The commit that has to be durable.
    commit: u64,
    /// The sync that has to end, counted from 1, or 0 if none is required.
    sync: u64,
    items: Vec<T>,
}

/// The result of bringing outputs to the gate.
#[derive(Debug)]
pub(crate) enum Gated<T> {
    /// The outputs wait. The syncer releases them.
    Waiting,
    /// All data that the outputs are derived from is already durable.
    Open(Vec<T>),
}

/// The next task of the syncer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Sync commits, or take back outputs.
    Sync,
    /// Acknowledge once more after a time without writes, so the flushed acknowledgment of the store does not lag
    /// behind.
    Settle,
    /// End, because there will be no more work.
    End,
}

/// The result of one run of the syncer.
#[derive(Debug)]
pub(crate) struct Released<T> {
    /// The outputs that the gate releases, or takes back if `error` is set.
    pub(crate) items: Vec<T>,
    pub(crate) error: Option<Error>,
}

impl<T> CommitOrder<T> {
    /// Creates an order that continues after `last`, which is durable. `aging` provides the clock record of each
    /// commit.
    pub(crate) fn new(store: Arc<dyn Store>, last: CommitRecord, aging: Aging) -> Self {
        let confirms_reads = store.confirms_reads();
        Self {
            confirms_reads,
            store,
            writing: Mutex::new(()),
            state: Mutex::new(State {
                begun: last.number,
                written: last.number,
                durable: last.number,
                time: Timestamp(0),
                gate: VecDeque::new(),
                gated: 0,
                poison: None,
                syncer_idle: false,
                syncing: false,
                last_sync: None,
                sync_begun: 0,
                sync_ended: 0,
                sync_wanted: 0,
                unsettled: confirms_reads,
                stopping: false,
            }),
            wake: Condvar::new(),
            synced: Condvar::new(),
            is_poisoned: AtomicBool::new(false),
            next_batch: AtomicU64::new(last.next_batch.max(1)),
            stride: 1,
            partitions: last.partitions,
            aging,
        }
    }

    /// Draws only the batch numbers of a shard. So batches of the whole hub have different numbers.
    pub(crate) fn of_shard(self, shard: Shard) -> Self {
        let (id, count) = (u64::from(shard.id.0), u64::from(shard.count));
        let first = self.next_batch.load(Ordering::Relaxed);
        Self {
            next_batch: AtomicU64::new(first + (id + count - first % count) % count),
            stride: count,
            ..self
        }
    }

    /// Returns a new batch number. No other batch of this hub has it, and no earlier durable batch had it.
    pub(crate) fn draw_batch_number(&self) -> u64 {
        let number = self.next_batch.fetch_add(self.stride, Ordering::Relaxed);
        if planted::is(Fault::ReuseBatch) {
            return number - number % 4;
        }
        number
    }

    /// Returns a number that differs from an earlier one if a batch number was drawn in between.
    pub(crate) fn drawn(&self) -> u64 {
        self.next_batch.load(Ordering::Relaxed)
    }

    /// Writes one commit that was made at `now`, and holds `items` until it is durable.
    ///
    /// `deliver` is called with the number of the commit as soon as it is written. The call precedes the write of any
    /// later commit and the release of any of the items.
    ///
    /// # Errors
    /// Returns the error of the store, which poisons the order, or the error that poisoned it earlier. The items are
    /// returned with it.
    pub(crate) fn commit(
        &self,
        now: Timestamp,
        batch: &mut Batch,
        items: Vec<T>,
        deliver: impl FnOnce(u64),
    ) -> Result<u64, (Error, Vec<T>)> {
        let _writing = self.writing();
        let _panic = PoisonOnPanic {
            order: self,
            syncing: false,
        };
        let (number, time) = {
            let mut state = self.state();
            if let Some(error) = &state.poison {
                return Err((error.clone(), items));
            }
            state.begun += 1;
            state.time = state.time.max(now);
            (state.begun, state.time)
        };
        let record = CommitRecord {
            number,
            next_batch: self.next_batch.load(Ordering::Relaxed),
            clock: self.aging.record(time),
            partitions: self.partitions,
        };
        let written = model::encode(&record).and_then(|value| {
            batch.put(&schema::COMMIT, &value);
            self.store.write(batch)
        });
        if let Err(error) = written {
            return Err((self.fail_to_write(error), items));
        }
        deliver(number);
        let mut state = self.state();
        state.written = number;
        if !items.is_empty() {
            state.hold(items, 0);
        }
        self.wake_syncer(state);
        Ok(number)
    }

    /// Poisons the order and returns the error that poisoned it.
    fn fail_to_write(&self, error: Error) -> Error {
        let mut state = self.state();
        // While a sync fails, writes fail because of it but do not name the cause. In that case, report the error of
        // the sync.
        while state.syncing {
            state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let error = self.set_poison(&mut state, || poisoned("a write", error));
        self.wake_syncer(state);
        error
    }

    /// Holds `items`, which are derived from reads only, until every commit that the reads may have shown is durable,
    /// and, if the store requires it, until the reads are confirmed.
    ///
    /// # Errors
    /// Returns the error that poisoned the order. The items are returned with it.
    pub(crate) fn hold(&self, items: Vec<T>) -> Result<Gated<T>, (Error, Vec<T>)> {
        let mut state = self.state();
        if let Some(error) = &state.poison {
            return Err((error.clone(), items));
        }
        if self.confirms_reads {
            // A sync that runs now may have begun before the read.
            let sync = state.sync_begun + 1;
            state.sync_wanted = sync;
            state.hold(items, sync);
            self.wake_syncer(state);
            return Ok(Gated::Waiting);
        }
        if state.durable >= state.begun || planted::is(Fault::UnconfirmedRead) {
            return Ok(Gated::Open(items));
        }
        state.hold(items, 0);
        Ok(Gated::Waiting)
    }

    /// Returns the newest written commit, a view of the store with exactly the commits up to it, and the result of
    /// `look`. No other commit is written during the call.
    pub(crate) fn snapshot<R>(&self, look: impl FnOnce() -> R) -> (u64, Box<dyn Reader + '_>, R) {
        let _writing = self.writing();
        let written = self.state().written;
        (written, self.store.snapshot(), look())
    }

    /// Returns the newest commit whose write has begun.
    #[cfg(test)]
    pub(crate) fn begun(&self) -> u64 {
        self.state().begun
    }

    /// Returns the newest written commit and the newest durable commit.
    pub(crate) fn watermarks(&self) -> (u64, u64) {
        let state = self.state();
        (state.written, state.durable)
    }

    /// Returns the number of outputs that wait at the gate.
    pub(crate) fn gated(&self) -> usize {
        self.state().gated
    }

    /// Notes how long the last sync took.
    pub(super) fn note_sync(&self, took: Duration) {
        self.state().last_sync = Some(took);
    }

    /// Returns how long the last sync took, or `None` if a commit is not durable yet, or if no sync was noted.
    pub(crate) fn idle_sync_time(&self) -> Option<Duration> {
        let state = self.state();
        if state.durable < state.written {
            return None;
        }
        state.last_sync
    }

    /// Returns the error that poisoned the order, if any.
    pub(crate) fn poison(&self) -> Option<Error> {
        let is_poisoned = self.is_poisoned.load(Ordering::Acquire);
        is_poisoned.then(|| self.state().poison.clone()).flatten()
    }

    /// Poisons the order, unless it is poisoned. Returns the error that poisoned it.
    fn set_poison(&self, state: &mut State<T>, error: impl FnOnce() -> Error) -> Error {
        let error = state.poison.get_or_insert_with(error).clone();
        self.is_poisoned.store(true, Ordering::Release);
        error
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns the reason for an error. If another process has taken over the store, and this one does not know it yet, the
    /// work of the other one looks like damage: other shards have messages that this process has not sent.
    pub(crate) fn damaged_or_replaced(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::Corrupted {
            return error;
        }
        match self.store.confirm() {
            Err(replaced) if replaced.kind() == ErrorKind::Replaced => replaced,
            _ => error,
        }
    }

    /// Returns `true` if [`sync`](Self::sync) would have something to do.
    #[cfg(feature = "testing")]
    pub(crate) fn has_to_sync(&self) -> bool {
        self.state().has_to_sync()
    }

    /// Waits for work of the syncer.
    pub(crate) fn wait_for_work(&self) -> Work {
        let mut state = self.state();
        loop {
            if state.has_to_sync() {
                return Work::Sync;
            }
            if state.stopping {
                return Work::End;
            }
            state.syncer_idle = true;
            let timed_out;
            if state.unsettled {
                let waited = self
                    .wake
                    .wait_timeout(state, QUIET)
                    .unwrap_or_else(PoisonError::into_inner);
                (state, timed_out) = (waited.0, waited.1.timed_out());
            } else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                timed_out = false;
            }
            state.syncer_idle = false;
            if timed_out && state.written == state.durable {
                return Work::Settle;
            }
        }
    }

    /// Acknowledges the newest durable commit once more after a time without writes.
    pub(crate) fn settle(&self) -> Released<T> {
        let durable = {
            let mut state = self.state();
            // A shared store says here that another process has taken over, also while nothing happens.
            state.unsettled = self.confirms_reads;
            state.durable
        };
        let Err(error) = self.store.acknowledge(durable) else {
            return Released {
                items: Vec::new(),
                error: None,
            };
        };
        let mut state = self.state();
        let error = poisoned("an acknowledgment", error);
        self.set_poison(&mut state, || error.clone());
        take_back(&mut state, error)
    }

    /// Makes all written commits durable and releases the outputs that wait for them. A sync is never retried after an
    /// error, because the pages that could not be written may be lost.
    pub(crate) fn sync(&self) -> Released<T> {
        let (number, target, has_commits) = {
            let mut state = self.state();
            if let Some(error) = state.poison.clone() {
                return take_back(&mut state, error);
            }
            state.syncing = true;
            state.sync_begun += 1;
            (state.sync_begun, state.written, state.written > state.durable)
        };
        let panic = PoisonOnPanic {
            order: self,
            syncing: true,
        };
        let synced = if planted::is(Fault::AcknowledgeBeforeSync) && target % 2 == 1 {
            Ok(())
        } else if !has_commits {
            self.store.confirm()
        } else {
            self.store.sync().and_then(|()| self.store.acknowledge(target))
        };
        drop(panic);
        let mut state = self.state();
        state.syncing = false;
        state.sync_ended = state.sync_ended.max(number);
        self.synced.notify_all();
        if let Err(error) = synced {
            let error = poisoned("a sync", error);
            self.set_poison(&mut state, || error.clone());
            return take_back(&mut state, error);
        }
        // A write may have failed during the sync. Outputs of durable commits may still be released.
        state.durable = state.durable.max(target);
        state.unsettled = true;
        let gated = state.take_durable();
        drop(state);
        let mut gated = gated.into_iter();
        let mut items = gated.next().unwrap_or_default();
        items.extend(gated.flatten());
        Released { items, error: None }
    }

    /// Takes back all outputs that wait at the gate, because the syncer thread panicked with this text.
    pub(crate) fn give_up(&self, text: &str) -> Released<T> {
        let mut state = self.state();
        let panic = Error::new(ErrorKind::Poisoned, format!("its thread panicked: {text}"));
        let error = self.set_poison(&mut state, || poisoned("the syncer", panic));
        take_back(&mut state, error)
    }

    /// Wakes the syncer if it is idle and has work. The lock is released first because the syncer needs it immediately.
    fn wake_syncer(&self, mut state: MutexGuard<'_, State<T>>) {
        let is_needed = state.has_to_sync() && std::mem::take(&mut state.syncer_idle);
        drop(state);
        if is_needed {
            self.wake.notify_one();
        }
    }

    /// Makes the syncer end once all commits are durable.
    pub(crate) fn stop(&self) {
        self.state().stopping = true;
        self.wake.notify_all();
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ignores poisoning: every change of the state is one assignment, so a panic cannot leave a partial change. A
    /// panic between two changes poisons the order (see [`PoisonOnPanic`]).
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Poisons the order when it is dropped during a panic, which means that the store or an inbox is broken. The operation
/// is unfinished, so callers must neither wait for it nor rely on it.
struct PoisonOnPanic<'a, T> {
    order: &'a CommitOrder<T>,
    /// True for a sync, false for a write.
    syncing: bool,
}

impl<T> Drop for PoisonOnPanic<'_, T> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut state = self.order.state();
        let what = if self.syncing {
            state.syncing = false;
            self.order.synced.notify_all();
            "a sync"
        } else {
            "a write"
        };
        let panic = Error::new(ErrorKind::Poisoned, "it panicked");
        self.order.set_poison(&mut state, || poisoned(what, panic));
        self.order.wake_syncer(state);
    }
}

impl<T> State<T> {
    /// Adds items to the gate until every commit whose write has begun is durable, and a sync has ended. Therefore the
    /// gate remains ordered, regardless of the caller.
    fn hold(&mut self, items: Vec<T>, sync: u64) {
        self.gated += items.len();
        self.gate.push_back(Held {
            commit: self.begun,
            sync,
            items,
        });
    }

    /// Returns `true` if commits have to be made durable, or outputs have to be taken back.
    fn has_to_sync(&self) -> bool {
        match self.poison {
            Some(_) => !self.gate.is_empty(),
            None => self.written > self.durable || self.sync_wanted > self.sync_ended,
        }
    }

    /// Takes the outputs of durable commits from the gate.
    fn take_durable(&mut self) -> Vec<Vec<T>> {
        let is_free = |held: &Held<T>| held.commit <= self.durable && held.sync <= self.sync_ended;
        let held = self.gate.partition_point(is_free);
        let taken: Vec<Vec<T>> = self.gate.drain(..held).map(|held| held.items).collect();
        self.gated -= taken.iter().map(Vec::len).sum::<usize>();
        taken
    }
}

fn take_back<T>(state: &mut State<T>, error: Error) -> Released<T> {
    let items = state.gate.drain(..).flat_map(|held| held.items).collect();
    state.gated = 0;
    Released {
        items,
        error: Some(error),
    }
}

fn poisoned(what: &str, error: Error) -> Error {
    if error.kind() == ErrorKind::Replaced {
        // Nothing is broken, and it says what to do.
        return error;
    }
    Error::new(
        ErrorKind::Poisoned,
        format!("{what} failed, so the hub has stopped; fix the cause and open the hub again: {error}"),
    )
    .with_source(error)
}

impl<T> fmt::Debug for CommitOrder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("CommitOrder")
            .field("written", &state.written)
            .field("durable", &state.durable)
            .field("poison", &state.poison)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
