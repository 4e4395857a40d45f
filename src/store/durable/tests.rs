//! The interaction of writes, syncs and the worker thread, with a log and a base that the tests control.

pub(crate) mod by_hand;
mod lives;
pub(crate) mod machine;
pub(crate) mod volatile;

use std::sync::mpsc;
use std::thread;

use super::*;
use crate::log::LogStats;
use crate::store::{Model, Row, Store};

/// A log in memory.
#[derive(Debug, Default)]
struct Memory {
    state: Mutex<MemoryState>,
    /// Held by a test to make the disk hang.
    disk: Mutex<()>,
}

#[derive(Debug, Default)]
struct MemoryState {
    /// The commits that have not been trimmed.
    commits: Vec<(u64, Vec<u8>)>,
    durable: u64,
    trimmed: u64,
    unsynced: u64,
    fails: bool,
}

impl Log for Memory {
    fn append(&self, commit: u64, changes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        state.commits.push((commit, changes.to_vec()));
        state.unsynced += changes.len() as u64;
    }

    fn sync(&self) -> Result<u64> {
        let _disk = self.disk.lock().unwrap();
        let mut state = self.state.lock().unwrap();
        if state.fails {
            return Err(Error::new(ErrorKind::Io, "the disk is broken"));
        }
        state.durable = state.commits.last().map_or(state.durable, |(commit, _)| *commit);
        state.unsynced = 0;
        Ok(state.durable)
    }

    fn trim(&self, commit: u64) -> Result<()> {
        let _disk = self.disk.lock().unwrap();
        let mut state = self.state.lock().unwrap();
        state.trimmed = commit;
        state.commits.retain(|(number, _)| *number > commit);
        Ok(())
    }

    fn wants_room(&self) -> bool {
        false
    }

    fn make_room(&self) -> Result<()> {
        Ok(())
    }

    fn stats(&self) -> LogStats {
        let state = self.state.lock().unwrap();
        LogStats {
            unsynced_bytes: state.unsynced,
            live_bytes: state.commits.iter().map(|(_, changes)| changes.len() as u64).sum(),
            ..LogStats::default()
        }
    }
}

impl Base for Model {
    fn take(&self, front: &Front) -> Result<()> {
        Store::write(self, &batch_of(front))?;
        Store::sync(self)
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Store::snapshot(self)
    }
}

/// The batch that a base writes for a front.
fn batch_of(front: &Front) -> Batch {
    let mut batch = Batch::default();
    let mut last = None::<Vec<u8>>;
    front.for_each(|key, value| {
        assert!(
            last.as_deref().is_none_or(|last| last < key),
            "keys are in order and unique"
        );
        last = Some(key.to_vec());
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    });
    batch
}

type Tested = Arc<Durable<Memory, Model>>;

fn store(front_bytes: usize) -> Tested {
    let bounds = Bounds {
        front_bytes,
        log_bytes: 1 << 30,
    };
    Arc::new(Durable::new(
        Memory::default(),
        Model::new(),
        Fronts::over(0),
        0,
        bounds,
    ))
}

/// Runs `test` while the worker thread of the store runs.
fn working(store: &Tested, test: impl FnOnce()) {
    let thread = thread::spawn({
        let store = Arc::clone(store);
        move || store.work()
    });
    test();
    store.stop();
    thread.join().unwrap();
}

fn batch(key: &str, value: &[u8]) -> Batch {
    let mut batch = Batch::default();
    batch.put(key.as_bytes(), value);
    batch
}

fn rows(reader: &dyn Reader) -> Vec<Row> {
    reader.scan(Vec::new()..vec![0xff], usize::MAX).unwrap()
}

/// A write completes while the disk hangs, because it only copies into memory.
#[test]
fn a_write_waits_for_no_disk() {
    let store = store(1 << 20);
    let hanging = store.log.disk.lock().unwrap();
    for number in 0..1_000 {
        store.write(&batch(&format!("key {number}"), b"value")).unwrap();
    }
    assert_eq!(rows(&*store).len(), 1_000);
    assert_eq!(store.progress().stalls, 0);
    drop(hanging);
    store.sync().unwrap();
}

/// The base never has a commit that is not durable in the log, and the log has every commit that the base does not
/// have.
#[test]
fn the_base_has_only_what_is_durable() {
    let store = store(1 << 20);
    working(&store, || {
        store.write(&batch("a", b"1")).unwrap();
        store.sync().unwrap();
        store.write(&batch("b", b"2")).unwrap();
        let hanging = store.log.disk.lock().unwrap();
        let waits = thread::spawn({
            let store = Arc::clone(&store);
            move || store.materialize()
        });
        // It also freezes the second commit and must therefore make it durable first.
        while store.fronts.frozen() == 0 {
            thread::yield_now();
        }
        assert_eq!(store.base.rows().len(), 0);
        assert_eq!(rows(&*store).len(), 2);
        store.write(&batch("c", b"3")).unwrap();
        drop(hanging);
        waits.join().unwrap().unwrap();
        assert_eq!(store.base.rows().len(), 2);
        let state = store.log.state.lock().unwrap();
        assert_eq!((state.trimmed, state.commits[0].0), (2, 3));
    });
    assert_eq!(rows(&*store).len(), 3);
}

/// A full front is moved to the base without a request, and the changes of a key are merged into one.
#[test]
fn a_full_front_is_brought_to_the_base() {
    let store = store(20_000);
    working(&store, || {
        for round in 0..100_u64 {
            for key in 0..30 {
                store
                    .write(&batch(&format!("{key} of {}", round / 20), &[7; 50]))
                    .unwrap();
            }
            store.sync().unwrap();
        }
        while store.progress().materialized_rows == 0 {
            thread::yield_now();
        }
        store.materialize().unwrap();
    });
    let progress = store.progress();
    assert_eq!(progress.materialized_changes, 3_000);
    assert!((150..1_500).contains(&progress.materialized_rows), "{progress:?}");
    assert_eq!((progress.front_rows, progress.lag), (0, 0));
    assert_eq!(store.base.rows().len(), 150);
}

/// A writer that is faster than the base waits and resumes when there is room. Memory stays within the bounds.
#[test]
fn a_write_waits_for_a_slow_base() {
    let store = store(10_000);
    working(&store, || {
        let stall = store.base.stall();
        let (sender, receiver) = mpsc::channel();
        let writer = thread::spawn({
            let store = Arc::clone(&store);
            move || {
                for number in 0..1_000 {
                    store.write(&batch(&number.to_string(), &[7; 50])).unwrap();
                    store.sync().unwrap();
                    sender.send(number).unwrap();
                }
            }
        });
        while store.progress().stalls == 0 {
            thread::yield_now();
        }
        assert!(receiver.try_iter().count() < 900);
        // Rows on their way to the base are still readable.
        assert_eq!(store.get(b"0").unwrap(), Some(vec![7; 50]));
        assert!(store.progress().front_bytes < 50_000, "{:?}", store.progress());
        drop(stall);
        writer.join().unwrap();
    });
    assert_eq!(rows(&*store).len(), 1_000);
}

/// A failure in the background stops all writes with its own error, including those that wait.
#[test]
fn a_base_that_fails_stops_the_writes() {
    let store = store(10_000);
    store.base.fail_write_after(0);
    working(&store, || {
        let error = (0..).find_map(|number: u64| {
            let written = store.write(&batch(&number.to_string(), &[7; 500]));
            written.and_then(|()| store.sync()).err()
        });
        assert!(error.unwrap().to_string().contains("because a test requested it"));
        assert!(store.materialize().is_err());
    });
}

/// After a failed sync, nothing is written or synced, and waiters receive the error of that sync.
#[test]
fn a_failed_sync_is_never_tried_again() {
    let store = store(1 << 20);
    working(&store, || {
        store.write(&batch("a", b"1")).unwrap();
        store.log.state.lock().unwrap().fails = true;
        assert!(store.sync().unwrap_err().to_string().contains("the disk is broken"));
        store.log.state.lock().unwrap().fails = false;
        for error in [store.sync(), store.write(&batch("b", b"2")), store.materialize()] {
            assert!(error.unwrap_err().to_string().contains("the disk is broken"));
        }
        assert!(store.base.rows().is_empty());
    });
}
