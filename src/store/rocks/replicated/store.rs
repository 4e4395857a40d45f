//! The open store of the owner of a hub.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rocksdb::properties;

use super::beats::Attention;
use super::copy::Copy;
use super::snapshot::Snapshots;
use crate::error::{Error, ErrorKind, Result};
use crate::log::Log;
use crate::log::postgres::Seat;
use crate::log::replicated::ReplicatedLog;
use crate::log::shared::{LogError, SharedLog};
use crate::store::directory::{DirectoryLock, Format};
use crate::store::durable::Durable;
use crate::store::rocks::checkpoint;
use crate::store::rocks::store::Materialized;
use crate::store::{Batch, Reader, Store, StoreStats, Visitor};

/// Time for which a node that shuts down, or that abandons the hub, tries to tell the others.
const RELEASE: Duration = Duration::from_secs(30);
pub(super) const LEAVE: Duration = Duration::from_secs(1);

/// The log of an owner, and its copy.
pub(super) type OwnedStore = Durable<ReplicatedLog, Arc<Copy>>;

/// The open copy of a hub, and the log that it follows. The fields are dropped in this order: the lock is released last.
#[derive(Debug)]
pub(crate) struct ReplicatedStore {
    pub(super) _snapshots: Snapshots,
    pub(super) attention: Attention,
    pub(super) durable: Materialized<ReplicatedLog, Arc<Copy>>,
    pub(super) shared: Arc<dyn SharedLog>,
    pub(super) seat: Seat,
    pub(super) epoch: u64,
    pub(super) format: Format,
    pub(super) closed: AtomicBool,
    pub(super) _lock: Arc<DirectoryLock>,
}

impl ReplicatedStore {
    /// Makes everything durable, and refuses everything from now on. Returns the tenure, which is still there.
    pub(super) fn retire(&self) -> Result<(Seat, u64)> {
        self.sync()?;
        self.closed.store(true, Ordering::Release);
        Ok((self.seat, self.epoch))
    }

    /// Returns a consistent view of all rows.
    pub(super) fn rows(&self) -> Box<dyn Reader + '_> {
        Box::new(self.durable.store.view())
    }

    /// Copies all data to a directory. No crash has happened since the batch `calm_since`.
    pub(super) fn copy_to(&self, directory: &Path, commit: u64, calm_since: u64) -> Result<()> {
        checkpoint::check_empty(directory)?;
        self.durable.store.sync()?;
        self.durable.store.materialize()?;
        checkpoint::create(
            &self.durable.store.base().base.database,
            &self.format,
            directory,
            commit,
            calm_since,
        )
    }

    /// Makes sure that the next open does not miss it if the log has lost data. That may also be the reason why the log has
    /// another owner.
    fn noted<T>(&self, done: Result<T>) -> Result<T> {
        if done.is_err() {
            // The copies of other nodes may show the loss, too.
            let _ = self.durable.store.base().note_acknowledged();
        }
        done
    }

    fn not_replaced(&self) -> Result<()> {
        if self.attention.is_replaced() {
            return self.noted(Err(LogError::Fenced.into()));
        }
        Ok(())
    }

    fn still_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the store is closed; open the hub again"));
        }
        Ok(())
    }
}

impl Store for ReplicatedStore {
    fn write(&self, batch: &Batch) -> Result<()> {
        self.still_open()?;
        self.durable.store.write(batch)
    }

    fn sync(&self) -> Result<()> {
        self.still_open()?;
        self.noted(self.durable.store.sync())
    }

    fn confirms_reads(&self) -> bool {
        true
    }

    fn confirm(&self) -> Result<()> {
        self.still_open()?;
        self.not_replaced()?;
        self.noted(self.durable.store.log().confirm())
    }

    /// The log itself says what it has. An idle owner that was replaced learns it here.
    fn acknowledge(&self, _commit: u64) -> Result<()> {
        self.not_replaced()
    }

    fn snapshot(&self) -> Box<dyn Reader + '_> {
        Box::new(self.durable.store.view())
    }

    fn checkpoint(&self, directory: &Path, commit: u64) -> Result<()> {
        self.copy_to(directory, commit, 0)
    }

    fn stats(&self) -> StoreStats {
        let store = &self.durable.store;
        let (log, progress) = (store.log().stats(), store.progress());
        StoreStats {
            wal_bytes: log.appended_bytes,
            wal_live_bytes: log.live_bytes,
            block_cache_bytes: store.base().base.property(properties::BLOCK_CACHE_USAGE),
            front_rows: progress.front_rows,
            front_bytes: progress.front_bytes,
            front_lag: progress.lag,
            front_stalls: progress.stalls,
            materialized_changes: progress.materialized_changes,
            materialized_rows: progress.materialized_rows,
        }
    }

    /// Ends the tenure, so that another node can continue at once.
    fn close(&self, _commit: u64) -> Result<()> {
        self.sync()?;
        self.durable.store.materialize()?;
        self.closed.store(true, Ordering::Release);
        Ok(self.shared.release(self.epoch, RELEASE)?)
    }

    fn leave(&self) -> Result<()> {
        Ok(self.shared.release(self.epoch, LEAVE)?)
    }
}

impl Reader for ReplicatedStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.durable.store.get(key)
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        self.durable.store.get_many(keys)
    }

    fn visit(&self, range: Range<Vec<u8>>, visitor: &mut Visitor<'_>) -> Result<()> {
        self.durable.store.visit(range, visitor)
    }
}
