//! The order of commits and the output gate.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::store::records::{self, CommitRecord};
use crate::store::{Batch, Reader, Store, keys};

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
}

struct State<T> {
    /// The newest commit whose write has begun: reads may show it.
    begun: u64,
    /// The newest commit that is written and delivered.
    written: u64,
    /// The newest commit that is known to be on disk.
    durable: u64,
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
    /// Continues after `last`, which is durable.
    pub(crate) fn new(store: Arc<dyn Store>, last: CommitRecord) -> Self {
        Self {
            store,
            writing: Mutex::new(()),
            state: Mutex::new(State {
                begun: last.number,
                written: last.number,
                durable: last.number,
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
        }
    }

    /// A number that no other batch of this hub has, or had when it was durable.
    pub(crate) fn draw_batch_number(&self) -> u64 {
        self.next_batch.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes one commit and holds `items` until it is durable. `deliver` runs with the commit's number as soon as it is
    /// written: before any later commit is, and before anything of it is let out.
    ///
    /// # Errors
    /// The store's error, which poisons the order, or the one that did so before. The items come back with it.
    pub(crate) fn commit(
        &self,
        batch: &mut Batch,
        items: Vec<T>,
        deliver: impl FnOnce(u64),
    ) -> Result<u64, (Error, Vec<T>)> {
        let _writing = self.writing();
        let _panic = Panic {
            order: self,
            syncing: false,
        };
        let number = {
            let mut state = self.state();
            if let Some(error) = &state.poison {
                return Err((error.clone(), items));
            }
            state.begun += 1;
            state.begun
        };
        let record = CommitRecord {
            number,
            next_batch: self.next_batch.load(Ordering::Relaxed),
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
        let items = match <[_; 1]>::try_from(gated) {
            Ok([items]) => items,
            Err(gated) => gated.into_iter().flatten().collect(),
        };
        Released { items, error: None }
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
mod tests {
    use std::ops::Range;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::Path;
    use std::sync::{OnceLock, Weak};
    use std::thread;

    use super::*;
    use crate::commit::Syncer;
    use crate::error::Result;
    use crate::store::{Model, Row, StoreStats};

    const NONE: CommitRecord = CommitRecord {
        number: 0,
        next_batch: 1,
    };

    fn order() -> (Arc<Model>, CommitOrder<&'static str>) {
        let model = Arc::new(Model::new());
        let order = CommitOrder::new(Arc::clone(&model) as Arc<dyn Store>, NONE);
        (model, order)
    }

    fn commit(order: &CommitOrder<&'static str>, item: &'static str) -> u64 {
        let mut batch = Batch::default();
        batch.put(b"key", b"value");
        order.commit(&mut batch, vec![item], |_| {}).unwrap()
    }

    /// Commits are numbered without gaps, and each is delivered before the next one can be written.
    #[test]
    fn numbers_have_no_gaps() {
        let (model, order) = order();
        let mut delivered = Vec::new();
        for expected in 1..=5 {
            let mut batch = Batch::default();
            let number = order.commit(&mut batch, Vec::new(), |number| delivered.push(number));
            assert_eq!(number.unwrap(), expected);
            let row = model.get(&keys::COMMIT).unwrap().unwrap();
            let record: CommitRecord = records::decode(&row, "commit").unwrap();
            assert_eq!(record.number, expected);
        }
        assert_eq!(delivered, [1, 2, 3, 4, 5]);
    }

    /// The gate holds everything until its commit is synced and acknowledged to the store; reads wait for what they saw.
    #[test]
    fn nothing_leaves_before_it_is_durable() {
        let (model, order) = order();
        assert!(matches!(order.hold(vec!["early read"]), Ok(Gated::Open(items)) if items == ["early read"]));
        commit(&order, "first");
        assert!(matches!(order.hold(vec!["read"]), Ok(Gated::Waiting)));
        assert_eq!((model.unsynced(), model.acknowledged()), (1, 0));
        let released = order.sync();
        assert_eq!(
            (released.items, released.error.is_none()),
            (vec!["first", "read"], true)
        );
        assert_eq!((model.unsynced(), model.acknowledged()), (0, 1));
        assert_eq!(order.watermarks(), (1, 1));
    }

    /// A model that looks at the order in the middle of a write.
    #[derive(Debug, Default)]
    struct Watched {
        model: Model,
        order: OnceLock<Weak<CommitOrder<&'static str>>>,
        let_out: Mutex<Vec<&'static str>>,
    }

    impl Reader for Watched {
        fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
            self.model.get(key)
        }

        fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
            self.model.get_many(keys)
        }

        fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Row>> {
            self.model.scan(range, limit)
        }
    }

    impl Store for Watched {
        fn write(&self, batch: &Batch) -> Result<()> {
            if let Some(order) = self.order.get().and_then(Weak::upgrade) {
                assert!(matches!(order.hold(vec!["early read"]), Ok(Gated::Waiting)));
                self.let_out.lock().unwrap().extend(order.sync().items);
                self.model.write(batch)?;
                assert!(matches!(order.hold(vec!["late read"]), Ok(Gated::Waiting)));
                self.let_out.lock().unwrap().extend(order.sync().items);
                return Ok(());
            }
            self.model.write(batch)
        }

        fn sync(&self) -> Result<()> {
            self.model.sync()
        }

        fn acknowledge(&self, commit: u64) -> Result<()> {
            self.model.acknowledge(commit)
        }

        fn snapshot(&self) -> Box<dyn Reader + '_> {
            self.model.snapshot()
        }

        fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()> {
            self.model.checkpoint(directory, commit)
        }

        fn stats(&self) -> StoreStats {
            self.model.stats()
        }

        fn close(&self, commit: u64) -> Result<()> {
            self.model.close(commit)
        }
    }

    /// While a commit is being written, earlier ones are synced and let out, and a read that may have shown it waits for it.
    #[test]
    fn a_write_keeps_nobody_from_syncing() {
        let store = Arc::new(Watched::default());
        let order = Arc::new(CommitOrder::new(Arc::clone(&store) as Arc<dyn Store>, NONE));
        commit(&order, "first");
        store.order.set(Arc::downgrade(&order)).unwrap();
        commit(&order, "second");
        assert_eq!(*store.let_out.lock().unwrap(), ["first"]);
        assert_eq!(order.watermarks(), (2, 1));
        assert_eq!(order.sync().items, ["early read", "late read", "second"]);
        assert_eq!(order.watermarks(), (2, 2));
    }

    /// After a panic in the middle of a commit nobody waits for that commit or builds on it.
    #[test]
    fn a_panic_within_a_commit_poisons() {
        let (_, order) = order();
        commit(&order, "kept");
        let panics = || order.commit(&mut Batch::default(), vec!["lost"], |_| panic!("a broken inbox"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        let (error, items) = order.hold(vec!["read"]).unwrap_err();
        assert_eq!((error.kind(), items), (ErrorKind::Poisoned, vec!["read"]));
        assert!(error.to_string().contains("a write failed"), "{error}");
        assert!(order.commit(&mut Batch::default(), vec!["late"], |_| {}).is_err());
        assert_eq!(order.sync().items, ["kept"]);
    }

    /// Several threads commit and read while the syncer works, and a write or a sync fails at some time. Nothing is let out
    /// before what it was derived from is durable, and everything that was brought to the gate comes back once.
    #[test]
    fn nothing_leaves_early_whatever_the_threads_do() {
        const THREADS: usize = 4;
        const COMMITS: u64 = 200;
        for round in 0..40 {
            let model = Arc::new(Model::new());
            match round % 4 {
                1 => model.fail_write_after(round * 17),
                2 => model.fail_sync_after(round),
                _ => {}
            }
            let order = Arc::new(CommitOrder::new(Arc::clone(&model) as Arc<dyn Store>, NONE));
            let back = Arc::new(AtomicU64::new(0));
            let heard = {
                let (model, back) = (Arc::clone(&model), Arc::clone(&back));
                move |items: Vec<Arc<AtomicU64>>, error: Option<Error>| {
                    for item in items {
                        let commit = item.load(Ordering::SeqCst);
                        assert!(
                            error.is_some() || commit <= model.acknowledged(),
                            "commit {commit} left early"
                        );
                        back.fetch_add(1, Ordering::SeqCst);
                    }
                }
            };
            let syncer = Syncer::start(Arc::clone(&order), heard.clone()).unwrap();
            let made: u64 = thread::scope(|scope| {
                let workers = (0..THREADS).map(|number| {
                    let (order, model, heard) = (&order, &model, &heard);
                    scope.spawn(move || {
                        for _ in 0..COMMITS {
                            let item = Arc::new(AtomicU64::new(0));
                            let gone = if number % 2 == 0 {
                                let mut batch = Batch::default();
                                let tell = |commit| item.store(commit, Ordering::SeqCst);
                                order.commit(&mut batch, vec![Arc::clone(&item)], tell).err()
                            } else {
                                // What a read shows may be of a commit whose write has not come back.
                                let row = model.get(&keys::COMMIT).unwrap();
                                let shown = row.map(|row| records::decode::<CommitRecord>(&row, "commit").unwrap());
                                item.store(shown.map_or(0, |shown| shown.number), Ordering::SeqCst);
                                match order.hold(vec![item]) {
                                    Ok(Gated::Waiting) => None,
                                    Ok(Gated::Open(items)) => {
                                        heard(items, None);
                                        None
                                    }
                                    Err(refused) => Some(refused),
                                }
                            };
                            if let Some((error, items)) = gone {
                                heard(items, Some(error));
                            }
                        }
                        COMMITS
                    })
                });
                let workers: Vec<_> = workers.collect();
                workers.into_iter().map(|worker| worker.join().unwrap()).sum()
            });
            order.stop();
            syncer.join();
            assert_eq!(back.load(Ordering::SeqCst), made, "round {round}");
        }
    }

    /// After a failed sync nothing is released, everything that waited comes back with the error, nothing more is taken,
    /// and no sync is tried again.
    #[test]
    fn a_failed_sync_stops_everything() {
        let (model, order) = order();
        commit(&order, "lost");
        model.fail_sync_after(0);
        let released = order.sync();
        assert_eq!(released.items, ["lost"]);
        assert_eq!(released.error.unwrap().kind(), ErrorKind::Poisoned);
        let (error, items) = order.commit(&mut Batch::default(), vec!["late"], |_| {}).unwrap_err();
        assert_eq!((error.kind(), items), (ErrorKind::Poisoned, vec!["late"]));
        assert!(order.hold(vec!["read"]).is_err());
        assert!(error.to_string().contains("open it again"), "{error}");
        assert_eq!((order.watermarks().1, model.acknowledged()), (0, 0));
    }

    /// A failed write gives back what it would have released, and what was synced before stays true.
    #[test]
    fn a_failed_write_takes_back_only_what_is_not_durable() {
        let (model, order) = order();
        commit(&order, "kept");
        assert_eq!(order.sync().items, ["kept"]);
        model.fail_write_after(0);
        let (error, items) = order.commit(&mut Batch::default(), vec!["lost"], |_| {}).unwrap_err();
        assert_eq!((error.kind(), items), (ErrorKind::Poisoned, vec!["lost"]));
        assert_eq!(order.watermarks(), (1, 1));
    }

    /// A batch number is never given out twice, also not by an order that goes on after a restart.
    #[test]
    fn batch_numbers_are_drawn_once() {
        let (model, order) = order();
        let drawn: Vec<u64> = (0..3).map(|_| order.draw_batch_number()).collect();
        assert_eq!(drawn, [1, 2, 3]);
        commit(&order, "");
        let row = model.get(&keys::COMMIT).unwrap().unwrap();
        let again: CommitOrder<()> = CommitOrder::new(model, records::decode(&row, "commit").unwrap());
        assert_eq!(again.draw_batch_number(), 4);
    }

    /// The syncer settles the newest acknowledgement once after a quiet spell, and ends when it is asked to.
    #[test]
    fn a_quiet_spell_is_settled_once() {
        let (_, order) = order();
        commit(&order, "");
        assert_eq!(order.wait_for_work(), Work::Sync);
        order.sync();
        assert_eq!(order.wait_for_work(), Work::Settle);
        assert!(order.settle().error.is_none());
        order.stop();
        assert_eq!(order.wait_for_work(), Work::End);
    }
}
