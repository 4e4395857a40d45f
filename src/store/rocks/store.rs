//! The open store.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rocksdb::{DB, ReadOptions, WriteBatch, WriteOptions};

use super::error::error;
use super::manifest::ManifestWatch;
use super::{checkpoint, reader};
use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::{Acknowledged, DirectoryLock, Format, Sidecar};
use crate::store::{Batch, Change, Reader, Row, Store};

/// What a write batch holds besides keys and values, for each change: its tag and two lengths. Only a guess for memory.
const CHANGE_OVERHEAD: usize = 8;

/// A hub's directory, open. The fields end in this order: the lock goes last, when nothing writes any more.
#[derive(Debug)]
pub(crate) struct RocksStore {
    database: DB,
    promise: Mutex<Promised>,
    closed: AtomicBool,
    format: Format,
    _lock: DirectoryLock,
}

/// What is kept outside the log, for the next open.
#[derive(Debug)]
struct Promised {
    sidecar: Sidecar,
    manifest: ManifestWatch,
}

impl RocksStore {
    /// Takes over a database that was just opened and of which `commit` is the newest and durable.
    pub(super) fn new(
        directory: &Path,
        database: DB,
        commit: u64,
        format: Format,
        lock: DirectoryLock,
    ) -> Result<Self> {
        let mut manifest = ManifestWatch::new(database.path())?;
        let acknowledged = Acknowledged {
            commit,
            clean: false,
            manifest: manifest.durable()?,
        };
        let sidecar = Sidecar::begin(directory, acknowledged)?;
        Ok(Self {
            database,
            promise: Mutex::new(Promised { sidecar, manifest }),
            closed: AtomicBool::new(false),
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
        let written = self.database.write_opt(changes, &WriteOptions::default());
        written.map_err(|failed| error("write a commit", failed))
    }

    fn sync(&self) -> Result<()> {
        self.still_open()?;
        self.database
            .flush_wal(true)
            .map_err(|failed| error("sync the log", failed))
    }

    fn acknowledge(&self, commit: u64) -> Result<()> {
        self.still_open()?;
        let mut promise = self.promise();
        let acknowledged = Acknowledged {
            commit,
            clean: false,
            manifest: promise.manifest.durable()?,
        };
        promise.sidecar.write(acknowledged)?;
        promise.sidecar.sync_if_due()
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(reader::Snapshot::new(&self.database))
    }

    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()> {
        self.sync()?;
        checkpoint::create(&self.database, &self.format, directory, commit)
    }

    fn close(&self, commit: u64) -> Result<()> {
        self.sync()?;
        // With nothing left in the log the next open has nothing to replay.
        self.database
            .flush()
            .map_err(|failed| error("flush its memory", failed))?;
        self.closed.store(true, Ordering::Release);
        let mut promise = self.promise();
        let acknowledged = Acknowledged {
            commit,
            clean: true,
            manifest: promise.manifest.durable()?,
        };
        promise.sidecar.write(acknowledged)?;
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

    fn scan(&self, range: Range<Vec<u8>>, limit: usize) -> Result<Vec<Row>> {
        reader::scan(&self.database, range, limit, ReadOptions::default())
    }
}
