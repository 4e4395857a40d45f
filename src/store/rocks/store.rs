//! The open store.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rocksdb::{DB, ReadOptions, WriteBatch, WriteOptions, properties};

use super::error::error;
use super::manifest::ManifestWatch;
use super::{checkpoint, reader};
use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::{Acknowledged, DirectoryLock, Format, Sidecar};
use crate::store::{Batch, Change, Reader, Store, StoreStats, Visitor};

/// What a write batch holds besides keys and values, for each change: its tag and two lengths. Only a guess for memory.
const CHANGE_OVERHEAD: usize = 8;

/// What the log adds to each write: checksum, length, type and the log's number. Source: RocksDB's format for logs that
/// are recycled. The few bytes at the end of each 32 KiB block are left out.
const LOG_RECORD_HEADER: u64 = 11;

/// A hub's directory, open. The fields end in this order: the lock goes last, when nothing writes any more.
#[derive(Debug)]
pub(crate) struct RocksStore {
    database: DB,
    promise: Mutex<Promised>,
    closed: AtomicBool,
    sync_failed: AtomicBool,
    wal_bytes: AtomicU64,
    format: Format,
    _lock: DirectoryLock,
}

/// What is kept outside the log, for the next open.
#[derive(Debug)]
struct Promised {
    sidecar: Sidecar,
    manifest: ManifestWatch,
    /// What [`Acknowledged`] says of the same name; the first stays once it is said.
    left: bool,
    calm_since: u64,
}

impl Promised {
    fn acknowledge(&mut self, commit: u64, clean: bool) -> Result<()> {
        let acknowledged = Acknowledged {
            commit,
            clean,
            manifest: self.manifest.durable()?,
            left: self.left,
            calm_since: self.calm_since,
        };
        self.sidecar.write(acknowledged)
    }
}

impl RocksStore {
    /// Takes over a database that was just opened and of which `commit` is the newest and durable. Whatever began in the
    /// batch `calm_since` or later was not running in a crash.
    pub(super) fn new(
        directory: &Path,
        // Before the database, so that it goes last where this fails.
        lock: DirectoryLock,
        database: DB,
        commit: u64,
        calm_since: u64,
        format: Format,
    ) -> Result<Self> {
        let mut manifest = ManifestWatch::new(database.path())?;
        let acknowledged = Acknowledged {
            commit,
            clean: false,
            manifest: manifest.durable()?,
            left: false,
            calm_since,
        };
        let sidecar = Sidecar::begin(directory, acknowledged)?;
        Ok(Self {
            database,
            promise: Mutex::new(Promised {
                sidecar,
                manifest,
                left: false,
                calm_since,
            }),
            closed: AtomicBool::new(false),
            sync_failed: AtomicBool::new(false),
            wal_bytes: AtomicU64::new(0),
            format,
            _lock: lock,
        })
    }

    /// Moves what is in memory into a table now.
    #[cfg(test)]
    pub(super) fn flush(&self) {
        self.database.flush().expect("the flush failed");
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
        let mut changes = WriteBatch::with_capacity_bytes(batch.bytes() + CHANGE_OVERHEAD * batch.len());
        for change in batch.changes() {
            match change {
                Change::Put { key, value } => changes.put(key, value),
                Change::Delete { key } => changes.delete(key),
            }
        }
        self.wal_bytes
            .fetch_add(changes.size_in_bytes() as u64 + LOG_RECORD_HEADER, Ordering::Relaxed);
        let written = self.database.write_opt(changes, &WriteOptions::default());
        written.map_err(|failed| error("write a commit", failed))
    }

    fn sync(&self) -> Result<()> {
        self.still_open()?;
        let lost = || {
            Error::new(
                ErrorKind::Poisoned,
                "an earlier sync of the log failed; open the hub again",
            )
        };
        if self.sync_failed.load(Ordering::Acquire) {
            return Err(lost());
        }
        self.database.flush_wal(true).map_err(|failed| {
            // What could not be written may be gone from memory, and a second sync would claim that it is there.
            self.sync_failed.store(true, Ordering::Release);
            error("sync the log", failed)
        })
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        self.still_open()?;
        let mut promise = self.promise();
        promise.acknowledge(commit, false)?;
        promise.sidecar.sync_if_due()
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(reader::Snapshot::new(&self.database))
    }

    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()> {
        self.sync()?;
        checkpoint::create(&self.database, &self.format, directory, commit)
    }

    fn stats(&self) -> StoreStats {
        let property = |name| self.database.property_int_value(name).ok().flatten().unwrap_or(0);
        let memtable_bytes = property(properties::CUR_SIZE_ALL_MEM_TABLES);
        StoreStats {
            wal_bytes: self.wal_bytes.load(Ordering::Relaxed),
            // A log lives as long as the memtables that it backs, and a row takes a little more room in those.
            wal_live_bytes: memtable_bytes,
            memtable_bytes,
            block_cache_bytes: property(properties::BLOCK_CACHE_USAGE),
        }
    }

    fn close(&self, commit: u64) -> Result<()> {
        self.sync()?;
        // With nothing left in the log the next open has nothing to replay.
        self.database
            .flush()
            .map_err(|failed| error("flush its memory", failed))?;
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
        reader::get(&self.database, key, &ReadOptions::default())
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        reader::get_many(&self.database, keys, &ReadOptions::default())
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        reader::visit(&self.database, range, visitor, ReadOptions::default())
    }
}
