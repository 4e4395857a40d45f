//! The order of commits, with one thread and with several concurrent threads.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{OnceLock, Weak};
use std::thread;

use super::*;
use crate::commit::Syncer;
use crate::error::Result;
use crate::id::ShardId;
use crate::store::{Model, StoreStats, Visitor};
use crate::time::ClockRecord;

const NONE: CommitRecord = CommitRecord {
    number: 0,
    next_batch: 1,
    clock: ClockRecord {
        time: Timestamp(0),
        set_back: None,
        doubt: None,
    },
    partitions: 64,
};

const NOW: Timestamp = Timestamp(1);

fn order() -> (Arc<Model>, CommitOrder<&'static str>) {
    let model = Arc::new(Model::new());
    let order = CommitOrder::new(Arc::clone(&model) as Arc<dyn Store>, NONE, Aging::default());
    (model, order)
}

fn commit(order: &CommitOrder<&'static str>, item: &'static str) -> u64 {
    let mut batch = Batch::default();
    batch.put(b"key", b"value");
    order.commit(NOW, &mut batch, vec![item], |_| {}).unwrap()
}

/// Commits are numbered without gaps, and each is delivered before the next one can be written.
#[test]
fn numbers_have_no_gaps() {
    let (model, order) = order();
    let mut delivered = Vec::new();
    for expected in 1..=5 {
        let mut batch = Batch::default();
        let number = order.commit(NOW, &mut batch, Vec::new(), |number| delivered.push(number));
        assert_eq!(number.unwrap(), expected);
        let row = model.get(&schema::COMMIT).unwrap().unwrap();
        let record: CommitRecord = model::decode(&row, "commit").unwrap();
        assert_eq!(record.number, expected);
    }
    assert_eq!(delivered, [1, 2, 3, 4, 5]);
}

/// Commits store the newest time of their own life, even if the clock of an earlier life was ahead.
#[test]
fn commits_have_the_time_of_their_own_life() {
    let model = Arc::new(Model::new());
    let mut last = NONE;
    for (opened, times, stored) in [(10, [12, 11], 12), (900, [901, 902], 902), (20, [21, 22], 22)] {
        let aging = Aging::new(Timestamp(opened), last.clock);
        let order: CommitOrder<()> = CommitOrder::new(Arc::clone(&model) as Arc<dyn Store>, last, aging);
        for time in times {
            order
                .commit(Timestamp(time), &mut Batch::default(), Vec::new(), |_| {})
                .unwrap();
        }
        let row = model.get(&schema::COMMIT).unwrap().unwrap();
        last = model::decode(&row, "commit").unwrap();
        assert_eq!(last.clock.time, Timestamp(stored));
    }
}

/// The gate holds outputs until their commit is synced and acknowledged to the store. Reads wait for the commits that
/// they saw.
#[test]
fn nothing_leaves_before_it_is_durable() {
    let (model, order) = order();
    assert!(matches!(order.hold(vec!["early read"]), Ok(Gated::Open(items)) if items == ["early read"]));
    commit(&order, "first");
    assert!(matches!(order.hold(vec!["read"]), Ok(Gated::Waiting)));
    assert_eq!((model.unsynced(), model.acknowledged(), order.gated()), (1, 0, 2));
    let released = order.sync();
    assert_eq!(
        (released.items, released.error.is_none()),
        (vec!["first", "read"], true)
    );
    assert_eq!((model.unsynced(), model.acknowledged(), order.gated()), (0, 1, 0));
    assert_eq!(order.watermarks(), (1, 1));
}

/// A model that uses the order during a write, or, if other processes share it, during a sync.
#[derive(Debug, Default)]
struct Watched {
    model: Model,
    order: OnceLock<Weak<CommitOrder<&'static str>>>,
    let_out: Mutex<Vec<&'static str>>,
    is_shared: bool,
    /// A read that comes during the next sync.
    read: Mutex<Option<&'static str>>,
    /// Number of confirmations.
    confirmed: AtomicU64,
}

impl Watched {
    fn read_during_a_sync(&self) {
        if let (Some(order), Some(read)) = (
            self.order.get().and_then(Weak::upgrade),
            self.read.lock().unwrap().take(),
        ) {
            assert!(matches!(order.hold(vec![read]), Ok(Gated::Waiting)));
        }
    }
}

impl Reader for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.model.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.model.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.model.visit(range, visitor)
    }
}

impl Store for Watched {
    fn write(&self, batch: &Batch) -> Result<()> {
        if let Some(order) = self.order.get().and_then(Weak::upgrade).filter(|_| !self.is_shared) {
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
        self.read_during_a_sync();
        self.model.sync()
    }

    fn confirms_reads(&self) -> bool {
        self.is_shared
    }

    fn confirm(&self) -> Result<()> {
        self.read_during_a_sync();
        self.confirmed.fetch_add(1, Ordering::Relaxed);
        Ok(())
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

/// While a commit is being written, earlier commits are synced and released. A read that may have shown the commit
/// waits for it.
#[test]
fn a_write_keeps_nobody_from_syncing() {
    let store = Arc::new(Watched::default());
    let order = Arc::new(CommitOrder::new(
        Arc::clone(&store) as Arc<dyn Store>,
        NONE,
        Aging::default(),
    ));
    commit(&order, "first");
    store.order.set(Arc::downgrade(&order)).unwrap();
    commit(&order, "second");
    assert_eq!(*store.let_out.lock().unwrap(), ["first"]);
    assert_eq!(order.watermarks(), (2, 1));
    assert_eq!(order.sync().items, ["early read", "late read", "second"]);
    assert_eq!(order.watermarks(), (2, 2));
}

/// If other processes share the store, a read waits for a sync or a confirmation that begins after it. One that already
/// runs may have looked before another process took over.
#[test]
fn a_read_of_a_shared_store_is_confirmed_after_it() {
    let store = Arc::new(Watched {
        is_shared: true,
        ..Watched::default()
    });
    let order = Arc::new(CommitOrder::new(
        Arc::clone(&store) as Arc<dyn Store>,
        NONE,
        Aging::default(),
    ));
    store.order.set(Arc::downgrade(&order)).unwrap();
    let confirmed = || store.confirmed.load(Ordering::Relaxed);
    assert!(matches!(order.hold(vec!["one"]), Ok(Gated::Waiting)));
    *store.read.lock().unwrap() = Some("two");
    assert_eq!(order.wait_for_work(), Work::Sync);
    assert_eq!((order.sync().items, confirmed()), (vec!["one"], 1));
    assert_eq!(order.wait_for_work(), Work::Sync);
    assert_eq!((order.sync().items, confirmed()), (vec!["two"], 2));
    // An append confirms as well.
    commit(&order, "commit");
    assert!(matches!(order.hold(vec!["three"]), Ok(Gated::Waiting)));
    *store.read.lock().unwrap() = Some("four");
    assert_eq!((order.sync().items, confirmed()), (vec!["commit", "three"], 2));
    assert_eq!((order.sync().items, confirmed()), (vec!["four"], 3));
    order.stop();
    assert_eq!(order.wait_for_work(), Work::End);
}

/// After a panic during a commit, no caller waits for that commit or relies on it.
#[test]
fn a_panic_within_a_commit_poisons() {
    let (_, order) = order();
    commit(&order, "kept");
    let panics = || order.commit(NOW, &mut Batch::default(), vec!["lost"], |_| panic!("a broken inbox"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let (error, items) = order.hold(vec!["read"]).unwrap_err();
    assert_eq!((error.kind(), items), (ErrorKind::Poisoned, vec!["read"]));
    assert!(error.to_string().contains("a write failed"), "{error}");
    assert!(order.commit(NOW, &mut Batch::default(), vec!["late"], |_| {}).is_err());
    assert_eq!(order.sync().items, ["kept"]);
}

/// Several threads commit and read while the syncer runs, and a write or a sync fails at some point. No output is
/// released before the data that it is derived from is durable, and each output brought to the gate is returned exactly
/// once.
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
        let order = Arc::new(CommitOrder::new(
            Arc::clone(&model) as Arc<dyn Store>,
            NONE,
            Aging::default(),
        ));
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
                            order.commit(NOW, &mut batch, vec![Arc::clone(&item)], tell).err()
                        } else {
                            // A read may show a commit whose write has not returned yet.
                            let row = model.get(&schema::COMMIT).unwrap();
                            let shown = row.map(|row| model::decode::<CommitRecord>(&row, "commit").unwrap());
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

/// After a failed sync, nothing is released, all waiting outputs are returned with the error, no commits are accepted,
/// and no sync is retried.
#[test]
fn a_failed_sync_stops_everything() {
    let (model, order) = order();
    commit(&order, "lost");
    model.fail_sync_after(0);
    let released = order.sync();
    assert_eq!(released.items, ["lost"]);
    assert_eq!(released.error.unwrap().kind(), ErrorKind::Poisoned);
    let (error, items) = order
        .commit(NOW, &mut Batch::default(), vec!["late"], |_| {})
        .unwrap_err();
    assert_eq!((error.kind(), items), (ErrorKind::Poisoned, vec!["late"]));
    assert!(order.hold(vec!["read"]).is_err());
    assert_eq!(order.poison().unwrap().to_string(), error.to_string());
    assert!(error.to_string().contains("open the hub again"), "{error}");
    assert_eq!((order.watermarks().1, model.acknowledged()), (0, 0));
}

/// A failed write returns the outputs that it would have released. Earlier synced commits remain durable.
#[test]
fn a_failed_write_takes_back_only_what_is_not_durable() {
    let (model, order) = order();
    commit(&order, "kept");
    assert_eq!(order.sync().items, ["kept"]);
    model.fail_write_after(0);
    let (error, items) = order
        .commit(NOW, &mut Batch::default(), vec!["lost"], |_| {})
        .unwrap_err();
    assert_eq!((error.kind(), items), (ErrorKind::Poisoned, vec!["lost"]));
    assert_eq!(order.watermarks(), (1, 1));
}

/// A batch number is never assigned twice, not even by an order that continues after a restart. An observer notices that
/// one was drawn, and that none was.
#[test]
fn batch_numbers_are_drawn_once() {
    let (model, order) = order();
    let before = order.drawn();
    assert_eq!(order.drawn(), before);
    let drawn: Vec<u64> = (0..3).map(|_| order.draw_batch_number()).collect();
    assert_ne!(order.drawn(), before);
    assert_eq!(drawn, [1, 2, 3]);
    commit(&order, "");
    let row = model.get(&schema::COMMIT).unwrap().unwrap();
    let again: CommitOrder<()> = CommitOrder::new(model, model::decode(&row, "commit").unwrap(), Aging::default());
    assert_eq!(again.draw_batch_number(), 4);
}

/// Batches of different shards never have the same number, wherever a shard continues.
#[test]
fn shards_draw_different_batch_numbers() {
    for next_batch in 1..10 {
        for id in 0..4 {
            let last = CommitRecord { next_batch, ..NONE };
            let order: CommitOrder<()> = CommitOrder::new(Arc::new(Model::new()), last, Aging::default());
            let order = order.of_shard(Shard {
                id: ShardId(id),
                count: 4,
            });
            let drawn: Vec<u64> = (0..3).map(|_| order.draw_batch_number()).collect();
            assert!(drawn.iter().all(|batch| batch % 4 == u64::from(id)));
            assert!((next_batch..next_batch + 4).contains(&drawn[0]) && drawn.is_sorted_by(|a, b| a < b));
        }
    }
}

/// The syncer settles the newest acknowledgment once after a time without writes, and ends on request.
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
