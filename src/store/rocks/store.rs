//! The open store.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;

use rocksdb::properties;

use super::base::RocksBase;
use super::checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{FileLog, Log};
use crate::spawn::spawn;
use crate::store::directory::{Acknowledged, DirectoryLock, Format, Sidecar};
use crate::store::durable::{Base, Durable};
use crate::store::{Batch, Reader, Store, StoreStats, Visitor};

/// The open directory of a hub. The fields are dropped in this order: the lock is released last, when all writes have
/// ended.
#[derive(Debug)]
pub(crate) struct RocksStore {
    durable: Materialized<FileLog, RocksBase>,
    promise: Mutex<Promised>,
    closed: AtomicBool,
    format: Format,
    _lock: DirectoryLock,
}

/// A store and the thread that moves its commits to RocksDB. The thread ends with the store.
#[derive(Debug)]
pub(super) struct Materialized<L: Log + 'static, B: Base + 'static> {
    pub(super) store: Arc<Durable<L, B>>,
    thread: Option<JoinHandle<()>>,
}

impl<L: Log, B: Base> Materialized<L, B> {
    pub(super) fn start(store: Durable<L, B>) -> Result<Self> {
        let store = Arc::new(store);
        let thread = spawn("abide-store", {
            let store = Arc::clone(&store);
            move || store.work()
        })?;
        Ok(Self {
            store,
            thread: Some(thread),
        })
    }
}

impl<L: Log, B: Base> Drop for Materialized<L, B> {
    fn drop(&mut self) {
        self.store.stop();
        if let Some(thread) = self.thread.take() {
            // The panic hook has already reported any panic.
            let _ = thread.join();
        }
    }
}

/// The data kept outside the log for the next open.
#[derive(Debug)]
struct Promised {
    sidecar: Sidecar,
    /// The fields of the same names in [`Acknowledged`]. Once `left` is set, it remains set.
    left: bool,
    calm_since: u64,
}

impl Promised {
    fn acknowledge(&mut self, commit: u64, clean: bool) -> Result<()> {
        let acknowledged = Acknowledged {
            commit,
            clean,
            left: self.left,
            calm_since: self.calm_since,
        };
        self.sidecar.write(acknowledged)
    }
}

impl RocksStore {
    /// Creates the handle of a store that was just opened and whose newest commit `commit` is durable. No crash has
    /// happened since batch `calm_since`.
    pub(super) fn new(
        directory: &Path,
        // Declared before the store, so it is dropped last if this function fails.
        lock: DirectoryLock,
        durable: Durable<FileLog, RocksBase>,
        commit: u64,
        calm_since: u64,
        format: Format,
    ) -> Result<Self> {
        let acknowledged = Acknowledged {
            commit,
            clean: false,
            left: false,
            calm_since,
        };
        let sidecar = Sidecar::begin(directory, acknowledged)?;
        Ok(Self {
            durable: Materialized::start(durable)?,
            promise: Mutex::new(Promised {
                sidecar,
                left: false,
                calm_since,
            }),
            closed: AtomicBool::new(false),
            format,
            _lock: lock,
        })
    }

    fn store(&self) -> &Durable<FileLog, RocksBase> {
        &self.durable.store
    }

    /// Moves all commits written so far to RocksDB.
    #[cfg(test)]
    pub(super) fn flush(&self) {
        self.store().sync().expect("the sync failed");
        self.store().materialize().expect("the flush failed");
    }

    /// Ignores poisoning: a field is set after the write that it describes, so a panic leaves no partial change.
    fn promise(&self) -> MutexGuard<'_, Promised> {
        self.promise.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if the store is closed, because a write after the clean mark would invalidate the mark.
    fn still_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the store is closed; open the hub again"));
        }
        Ok(())
    }
}

impl Store for RocksStore {
    fn write(&self, batch: &Batch) -> Result<()> {
        self.still_open()?;
        self.store().write(batch)
    }

    fn sync(&self) -> Result<()> {
        self.still_open()?;
        self.store().sync()
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        self.still_open()?;
        let mut promise = self.promise();
        promise.acknowledge(commit, false)?;
        promise.sidecar.sync_if_due()
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(self.store().view())
    }

    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()> {
        checkpoint::check_empty(directory)?;
        self.store().sync()?;
        self.store().materialize()?;
        checkpoint::create(&self.store().base().database, &self.format, directory, commit, 0)
    }

    fn stats(&self) -> StoreStats {
        let (log, progress) = (self.store().log().stats(), self.store().progress());
        let base = self.store().base();
        StoreStats {
            wal_bytes: log.appended_bytes,
            wal_live_bytes: log.live_bytes,
            block_cache_bytes: base.property(properties::BLOCK_CACHE_USAGE),
            front_rows: progress.front_rows,
            front_bytes: progress.front_bytes,
            front_lag: progress.lag,
            front_stalls: progress.stalls,
            materialized_changes: progress.materialized_changes,
            materialized_rows: progress.materialized_rows,
        }
    }

    fn close(&self, commit: u64) -> Result<()> {
        self.sync()?;
        // With all commits in RocksDB, the next open does not read the log.
        self.store().materialize()?;
        self.closed.store(true, Ordering::Release);
        let mut promise = self.promise();
        promise.left = true;
        promise.acknowledge(commit, true)?;
        promise.sidecar.sync()
    }

    fn leave(&self) -> Result<()> {
        // A thread that hangs in a write to a broken disk may hold the lock. Do not wait for that thread.
        let mut promise = match self.promise.try_lock() {
            Ok(promise) => promise,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let text = "the ACKNOWLEDGED file is being written";
                return Err(Error::new(ErrorKind::Io, text));
            }
        };
        promise.left = true;
        promise.sidecar.leave()?;
        promise.sidecar.sync()
    }
}

impl Reader for RocksStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.store().get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.store().get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.store().visit(range, visitor)
    }
}
