//! Models of the output gate and the syncer: threads that commit and read, a syncer, and a store that may fail at any
//! point, under many schedules. See [`explore`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use shuttle::rand::{Rng, thread_rng};

use crate::commit::{CommitOrder, Gated, Syncer};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{self, CommitRecord};
use crate::schema;
use crate::store::{Batch, Model, Reader, Store, StoreStats, Visitor};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::mpsc::{self, Sender};
use crate::sync::{Mutex, MutexGuard, explore, thread};
use crate::time::{Aging, Timestamp};

/// A call of the store that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Write,
    Sync,
    Acknowledge,
}

/// The way in which a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Error,
    Panic,
}

/// A store in memory of which one call fails, and each change after it.
#[derive(Debug)]
struct Failing {
    model: Model,
    fails: Option<(Call, Failure)>,
    /// Number of calls of that kind that succeed.
    left: AtomicU64,
    failed: AtomicBool,
}

impl Failing {
    /// Draws the failure from the schedule, so a replay repeats it.
    fn draw() -> Self {
        let mut random = thread_rng();
        let call = [Call::Write, Call::Sync, Call::Acknowledge][random.gen_range(0..3)];
        let fails = [None, Some((call, Failure::Error)), Some((call, Failure::Panic))][random.gen_range(0..3)];
        Self {
            model: Model::new(),
            fails,
            left: AtomicU64::new(random.gen_range(0..4)),
            failed: AtomicBool::new(false),
        }
    }

    fn before(&self, call: Call) -> Result<()> {
        let error = Error::new(ErrorKind::Io, "a model fails this call");
        if self.failed.load(Ordering::SeqCst) {
            return Err(error);
        }
        let Some((_, failure)) = self.fails.filter(|(fails, _)| *fails == call) else {
            return Ok(());
        };
        let next = |left: u64| left.checked_sub(1);
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok() {
            return Ok(());
        }
        self.failed.store(true, Ordering::SeqCst);
        match failure {
            Failure::Error => Err(error),
            // Unlike `panic!`, this does not call the hook, which would report each schedule as a failure.
            Failure::Panic => resume_unwind(Box::new("a model panics in this call")),
        }
    }
}

impl Reader for Failing {
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

impl Store for Failing {
    fn write(&self, batch: &Batch) -> Result<()> {
        self.before(Call::Write)?;
        self.model.write(batch)
    }

    fn sync(&self) -> Result<()> {
        self.before(Call::Sync)?;
        self.model.sync()
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        self.before(Call::Acknowledge)?;
        // The disk takes time, in which other threads write and read.
        thread::yield_now();
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

/// An output, with the commit that it depends on.
#[derive(Debug)]
struct Item {
    number: u64,
    commit: Arc<AtomicU64>,
}

/// The outputs that came back from the gate: how often each left, and how often it was taken back with an error.
#[derive(Clone, Debug)]
struct Heard {
    store: Arc<Failing>,
    items: Arc<Mutex<BTreeMap<u64, (u32, u32)>>>,
}

impl Heard {
    /// Ignores poisoning. All threads of a model share one thread of the system, so a panic of one that switches away
    /// while it unwinds poisons the locks of the others.
    fn items(&self) -> MutexGuard<'_, BTreeMap<u64, (u32, u32)>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, items: Vec<Item>, error: Option<&Error>) {
        for item in items {
            let commit = item.commit.load(Ordering::SeqCst);
            let (durable, unsynced) = (self.store.model.acknowledged(), self.store.model.unsynced());
            if error.is_none() {
                assert!(
                    commit <= durable,
                    "an output of commit {commit} left, {durable} is durable, {unsynced} are not"
                );
            }
            let mut items = self.items();
            let (left, back) = items.entry(item.number).or_default();
            *(if error.is_none() { left } else { back }) += 1;
        }
    }
}

fn order<T>(store: &Arc<Failing>) -> Arc<CommitOrder<T>> {
    let store = Arc::clone(store) as Arc<dyn Store>;
    Arc::new(CommitOrder::new(
        store,
        CommitRecord::before_the_first(64),
        Aging::default(),
    ))
}

/// Commits once. Returns `false` if the store panicked, which loses the output.
fn write(order: &CommitOrder<Item>, heard: &Heard, number: u64) -> bool {
    let commit = Arc::new(AtomicU64::new(0));
    let item = Item {
        number,
        commit: Arc::clone(&commit),
    };
    let deliver = |number| commit.store(number, Ordering::SeqCst);
    let write = || order.commit(Timestamp(1), &mut Batch::default(), vec![item], deliver);
    match catch_unwind(AssertUnwindSafe(write)) {
        Ok(Ok(_)) => true,
        Ok(Err((error, items))) => {
            heard.hear(items, Some(&error));
            true
        }
        Err(_) => false,
    }
}

/// Reads the newest commit, which may be in the middle of its write, and holds an output that shows it.
fn read(order: &CommitOrder<Item>, heard: &Heard, number: u64) {
    let row = heard.store.model.get(&schema::COMMIT).unwrap();
    let shown = row.map_or(0, |row| model::decode::<CommitRecord>(&row, "commit").unwrap().number);
    let item = Item {
        number,
        commit: Arc::new(AtomicU64::new(shown)),
    };
    match order.hold(vec![item]) {
        Ok(Gated::Waiting) => {}
        Ok(Gated::Open(items)) => heard.hear(items, None),
        Err((error, items)) => heard.hear(items, Some(&error)),
    }
}

/// Two threads commit and one reads, while the syncer runs and the store may fail. Nothing leaves the gate before the
/// commit that it depends on is durable. Each output leaves once, or is taken back once with the error. The syncer ends
/// after everything is durable, and never sleeps while there is work: such a schedule would not end.
fn gate() {
    let store = Arc::new(Failing::draw());
    let heard = Heard {
        store: Arc::clone(&store),
        items: Arc::default(),
    };
    let order = order(&store);
    let syncer = {
        let heard = heard.clone();
        Syncer::start(Arc::clone(&order), move |items, error| {
            heard.hear(items, error.as_ref())
        })
        .unwrap()
    };
    let threads: Vec<_> = (0..3)
        .map(|thread| {
            let (order, heard) = (Arc::clone(&order), heard.clone());
            thread::spawn(move || {
                let mut lost = 0;
                for number in thread * 10..thread * 10 + 2 {
                    if thread == 2 {
                        read(&order, &heard, number);
                    } else if !write(&order, &heard, number) {
                        lost += 1;
                    }
                }
                lost
            })
        })
        .collect();
    let lost: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    // As `Runtime::executor_ended`, the last one that commits stops the syncer.
    order.stop();
    syncer.join();

    let items = heard.items();
    assert!(items.values().all(|(left, back)| left + back == 1), "{items:?}");
    assert_eq!(items.len() + lost, 6, "{items:?}");
    assert_eq!(order.gated(), 0);
    let (written, durable) = order.watermarks();
    if order.poison().is_none() {
        assert_eq!((lost, written, durable), (0, 4, 4));
        assert_eq!((store.model.acknowledged(), store.model.unsynced()), (4, 0));
    } else {
        assert!(store.fails.is_some());
        assert!(durable <= store.model.acknowledged());
    }
}

/// See [`gate`].
#[test]
fn the_gate_releases_what_is_durable_and_each_output_once() {
    explore(2_000, gate);
}

/// Clients wait for their outputs, and commit only then: a wake-up of the syncer that is lost would leave them waiting.
#[test]
fn whoever_waits_for_its_output_gets_it() {
    explore(1_000, || {
        let store = Arc::new(Failing::draw());
        let order = order(&store);
        let syncer = Syncer::start(Arc::clone(&order), |items: Vec<Sender<()>>, _| {
            for item in items {
                // A client that the panic of its own commit has ended waits for nothing.
                let _ = item.send(());
            }
        })
        .unwrap();
        let clients: Vec<_> = (0..2)
            .map(|_| {
                let order = Arc::clone(&order);
                thread::spawn(move || {
                    for _ in 0..2 {
                        let (sender, receiver) = mpsc::channel();
                        let write = || order.commit(Timestamp(1), &mut Batch::default(), vec![sender], |_| {});
                        let written = catch_unwind(AssertUnwindSafe(write));
                        let Ok(Ok(_)) = written else { return };
                        receiver.recv().expect("the gate releases the output or takes it back");
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        order.stop();
        syncer.join();
    });
}
