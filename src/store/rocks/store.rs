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
use crate::store::durable::Durable;
use crate::store::{Batch, Reader, Store, StoreStats, Visitor};

/// A hub's directory, open. The fields end in this order: the lock goes last, when nothing writes any more.
#[derive(Debug)]
pub(crate) struct RocksStore {
    durable: Materialized,
    promise: Mutex<Promised>,
    closed: AtomicBool,
    format: Format,
    _lock: DirectoryLock,
}

/// A store and the thread that brings what was written to RocksDB. The thread ends with it.
#[derive(Debug)]
struct Materialized {
    store: Arc<Durable<FileLog, RocksBase>>,
    thread: Option<JoinHandle<()>>,
}

impl Materialized {
    fn start(store: Durable<FileLog, RocksBase>) -> Result<Self> {
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

impl Drop for Materialized {
    fn drop(&mut self) {
        self.store.stop();
        if let Some(thread) = self.thread.take() {
            // A panic was reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// What is kept outside the log, for the next open.
#[derive(Debug)]
struct Promised {
    sidecar: Sidecar,
    /// What [`Acknowledged`] says of the same name; the first stays once it is said.
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
    /// Takes over a store that was just opened and of which `commit` is the newest and durable. Whatever began in the batch
    /// `calm_since` or later was not running in a crash.
    pub(super) fn new(
        directory: &Path,
        // Before the store, so that it goes last where this fails.
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

    /// Brings everything that was written to RocksDB now.
    #[cfg(test)]
    pub(super) fn flush(&self) {
        self.store().sync().expect("the sync failed");
        self.store().materialize().expect("the flush failed");
    }

    /// A thread that panicked leaves nothing half done here: a field is set after the write that it speaks of.
    fn promise(&self) -> MutexGuard<'_, Promised> {
        self.promise.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write after the clean mark would make the mark a lie.
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
        checkpoint::create(&self.store().base().database, &self.format, directory, commit)
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
        // With everything in RocksDB the next open has nothing to read.
        self.store().materialize()?;
        self.closed.store(true, Ordering::Release);
        let mut promise = self.promise();
        promise.left = true;
        promise.acknowledge(commit, true)?;
        promise.sidecar.sync()
    }

    fn leave(&self) -> Result<()> {
        // A thread that hangs in a write to a broken disk may hold it. This does not wait for that thread.
        let mut promise = match self.promise.try_lock() {
            Ok(promise) => promise,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let text = "the note of what is durable is being written";
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
