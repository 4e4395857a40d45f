//! The order of commits and the output gate.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::store::records::{self, CommitRecord};
use crate::store::{Batch, Reader, Store, keys};
use crate::time::{Aging, Timestamp};

/// How long nothing has to be written before the newest acknowledgement is settled. A store notes it on disk when a
/// second has passed since the last time, so this is a little more.
const QUIET: Duration = Duration::from_millis(1_050);

/// One total order of commits, and what waits behind the output gate for them to be durable.
///
/// `T` is what leaves the process. Whoever gets a `T` back from a method here may let it out; with an error instead, the
/// hub is poisoned and nothing of it may be claimed.
pub(crate) struct CommitOrder<T> {
    store: Arc<dyn Store>,
    /// Held from the drawing of a commit's number until it is delivered. A write takes long, so whoever only wants to know
    /// how far things are does not wait for it.
    writing: Mutex<()>,
    state: Mutex<State<T>>,
    /// Wakes the syncer.
    wake: Condvar,
    /// Tells that a sync has ended.
    synced: Condvar,
    next_batch: AtomicU64,
    partitions: u16,
    aging: Aging,
}

struct State<T> {
    /// The newest commit whose write has begun: reads may show it.
    begun: u64,
    /// The newest commit that is written and delivered.
    written: u64,
    /// The newest commit that is known to be on disk.
    durable: u64,
    /// The newest time of a commit of this life. The clock of an earlier one may have been ahead, and does not count.
    time: Timestamp,
    /// What waits for a commit to be durable, in the order of commits.
    gate: VecDeque<(u64, Vec<T>)>,
    /// Why nothing more is released.
    poison: Option<Error>,
    /// Whether the syncer waits to be woken.
    syncer_idle: bool,
    /// Whether a sync runs.
    syncing: bool,
    /// Whether the newest acknowledgement may still be told to the store once more; see [`Work::Settle`].
    unsettled: bool,
    stopping: bool,
}

/// What became of things that were brought to the gate.
#[derive(Debug)]
pub(crate) enum Gated<T> {
    /// They wait; the syncer lets them out.
    Waiting,
    /// Everything that they were derived from is durable already.
    Open(Vec<T>),
}

/// What the syncer has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// There is something to sync, or something to take back.
    Sync,
    /// Nothing was written for a while: acknowledge once more, so that the store's note of it does not stay behind.
    Settle,
    /// There will never be anything again.
    End,
}

/// One run of the syncer.
#[derive(Debug)]
pub(crate) struct Released<T> {
    /// What the gate lets out, or takes back if `error` is set.
    pub(crate) items: Vec<T>,
    pub(crate) error: Option<Error>,
}

impl<T> CommitOrder<T> {
    /// Continues after `last`, which is durable. `aging` says what commits store of the clock.
    pub(crate) fn new(store: Arc<dyn Store>, last: CommitRecord, aging: Aging) -> Self {
        Self {
            store,
            writing: Mutex::new(()),
            state: Mutex::new(State {
                begun: last.number,
                written: last.number,
                durable: last.number,
                time: Timestamp(0),
                gate: VecDeque::new(),
                poison: None,
                syncer_idle: false,
                syncing: false,
                unsettled: false,
                stopping: false,
            }),
            wake: Condvar::new(),
            synced: Condvar::new(),
            next_batch: AtomicU64::new(last.next_batch.max(1)),
            partitions: last.partitions,
            aging,
        }
    }

    /// A number that no other batch of this hub has, or had when it was durable.
    pub(crate) fn draw_batch_number(&self) -> u64 {
        self.next_batch.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes one commit that was made at `now`, and holds `items` until it is durable. `deliver` runs with the commit's number
    /// as soon as it is written: before any later commit is, and before anything of it is let out.
    ///
    /// # Errors
    /// The store's error, which poisons the order, or the one that did so before. The items come back with it.
    pub(crate) fn commit(
        &self,
        now: Timestamp,
        batch: &mut Batch,
        items: Vec<T>,
        deliver: impl FnOnce(u64),
    ) -> Result<u64, (Error, Vec<T>)> {
        let _writing = self.writing();
        let _panic = Panic {
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
        let written = records::encode(&record).and_then(|value| {
            batch.put(&keys::COMMIT, &value);
            self.store.write(batch)
        });
        if let Err(error) = written {
            return Err((self.fail_to_write(error), items));
        }
        deliver(number);
        let mut state = self.state();
        state.written = number;
        if !items.is_empty() {
            state.hold(items);
        }
        self.wake_syncer(state);
        Ok(number)
    }

    /// Poisons the order, and says with what.
    fn fail_to_write(&self, error: Error) -> Error {
        let mut state = self.state();
        // While a sync fails, writes fail because of it and do not say why. Then its error is the one to tell.
        while state.syncing {
            state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let error = state.poison.get_or_insert_with(|| poisoned("a write", error)).clone();
        self.wake_syncer(state);
        error
    }

    /// Holds `items`, which were derived from reads only, until every commit that the reads may have shown is durable.
    ///
    /// # Errors
    /// The error that poisoned the order. The items come back with it.
    pub(crate) fn hold(&self, items: Vec<T>) -> Result<Gated<T>, (Error, Vec<T>)> {
        let mut state = self.state();
        if let Some(error) = &state.poison {
            return Err((error.clone(), items));
        }
        if state.durable >= state.begun {
            return Ok(Gated::Open(items));
        }
        state.hold(items);
        Ok(Gated::Waiting)
    }

    /// The newest commit that is written, a view of the store that shows exactly the commits up to it, and what `look`
    /// found while no other could be written.
    pub(crate) fn snapshot<R>(&self, look: impl FnOnce() -> R) -> (u64, Box<dyn Reader + '_>, R) {
        let _writing = self.writing();
        let written = self.state().written;
        (written, self.store.snapshot(), look())
    }

    /// The newest commit whose write has begun.
    #[cfg(test)]
    pub(crate) fn begun(&self) -> u64 {
        self.state().begun
    }

    /// The newest commit that is written and the newest that is durable.
    pub(crate) fn watermarks(&self) -> (u64, u64) {
        let state = self.state();
        (state.written, state.durable)
    }

    /// Why nothing more is released, if so.
    pub(crate) fn poison(&self) -> Option<Error> {
        self.state().poison.clone()
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Waits until there is something for the syncer to do.
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

    /// Acknowledges the newest durable commit once more, because nothing was written for a while.
    pub(crate) fn settle(&self) -> Released<T> {
        let durable = {
            let mut state = self.state();
            state.unsettled = false;
            state.durable
        };
        let Err(error) = self.store.acknowledge(durable) else {
            return Released {
                items: Vec::new(),
                error: None,
            };
        };
        let mut state = self.state();
        let error = poisoned("the note of what is durable", error);
        state.poison.get_or_insert(error.clone());
        take_back(&mut state, error)
    }

    /// Makes everything durable that is written now, and opens the gate as far as that goes. Never tried again after an
    /// error: the pages that could not be written may be gone.
    pub(crate) fn sync(&self) -> Released<T> {
        let target = {
            let mut state = self.state();
            if let Some(error) = state.poison.clone() {
                return take_back(&mut state, error);
            }
            state.syncing = true;
            state.written
        };
        let panic = Panic {
            order: self,
            syncing: true,
        };
        let synced = self.store.sync().and_then(|()| self.store.acknowledge(target));
        drop(panic);
        let mut state = self.state();
        state.syncing = false;
        self.synced.notify_all();
        if let Err(error) = synced {
            let error = poisoned("a sync", error);
            state.poison.get_or_insert(error.clone());
            return take_back(&mut state, error);
        }
        // A write may have failed meanwhile. What is durable by now may still be told.
        state.durable = state.durable.max(target);
        state.unsettled = true;
        let gated = state.take_durable();
        drop(state);
        let mut gated = gated.into_iter();
        let mut items = gated.next().unwrap_or_default();
        items.extend(gated.flatten());
        Released { items, error: None }
    }

    /// Takes back everything that waits at the gate, because the thread that syncs has panicked with this text.
    pub(crate) fn give_up(&self, text: &str) -> Released<T> {
        let mut state = self.state();
        let panic = Error::new(ErrorKind::Poisoned, format!("its thread panicked: {text}"));
        let error = state
            .poison
            .get_or_insert_with(|| poisoned("the syncer", panic))
            .clone();
        take_back(&mut state, error)
    }

    /// Wakes the syncer if it waits and there is something to do. The lock is given back before, because the syncer needs
    /// it at once.
    fn wake_syncer(&self, mut state: MutexGuard<'_, State<T>>) {
        let is_needed = state.has_to_sync() && std::mem::take(&mut state.syncer_idle);
        drop(state);
        if is_needed {
            self.wake.notify_one();
        }
    }

    /// Lets the syncer end once everything is durable.
    pub(crate) fn stop(&self) {
        self.state().stopping = true;
        self.wake.notify_all();
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic while the lock was held cannot have left the state half-changed: every change of it is one assignment. One
    /// between two changes poisons the order, see [`Panic`].
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Poisons the order when it goes away in a panic: the store is broken, or an inbox is. What was begun is not finished, and
/// nobody may wait for it, or build on it.
struct Panic<'a, T> {
    order: &'a CommitOrder<T>,
    /// Whether it is a sync that panics, and not a write.
    syncing: bool,
}

impl<T> Drop for Panic<'_, T> {
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
        state.poison.get_or_insert_with(|| poisoned(what, panic));
        self.order.wake_syncer(state);
    }
}

impl<T> State<T> {
    /// Puts items into the gate, until every commit is durable whose write has begun. So the gate stays in order, whoever puts
    /// something in.
    fn hold(&mut self, items: Vec<T>) {
        self.gate.push_back((self.begun, items));
    }

    /// Whether something is to be made durable, or to be taken back.
    fn has_to_sync(&self) -> bool {
        match self.poison {
            Some(_) => !self.gate.is_empty(),
            None => self.written > self.durable,
        }
    }

    /// Takes everything from the gate that is durable.
    fn take_durable(&mut self) -> Vec<Vec<T>> {
        let held = self.gate.partition_point(|(commit, _)| *commit <= self.durable);
        self.gate.drain(..held).map(|(_, items)| items).collect()
    }
}

fn take_back<T>(state: &mut State<T>, error: Error) -> Released<T> {
    let items = state.gate.drain(..).flat_map(|(_, items)| items).collect();
    Released {
        items,
        error: Some(error),
    }
}

fn poisoned(what: &str, error: Error) -> Error {
    Error::new(
        ErrorKind::Poisoned,
        format!("{what} failed, so this hub releases nothing more; mend the cause and open it again: {error}"),
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
