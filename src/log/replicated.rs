//! The log of an open hub over a shared log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::commits::Commits;
use super::shared::{Chain, LogError, Record, SharedLog, Tenure};
use super::{Log, LogStats};
use crate::error::Result;
use crate::planted::{self, Fault};

/// Size above which a record ends, in bytes before compression. One statement of the database carries one record.
pub(crate) const RECORD_BYTES: usize = 1 << 20;

/// The log of one tenure. Commits gather in memory until a sync appends them.
#[derive(Debug)]
pub(crate) struct ReplicatedLog {
    shared: Arc<dyn SharedLog>,
    epoch: u64,
    /// Size above which a record ends, in bytes before compression.
    record_bytes: usize,
    /// Commits that no append has taken yet, as the records that they will become.
    pending: Mutex<Vec<Commits>>,
    /// Held during an append.
    end: Mutex<End>,
    appended: Arc<Appended>,
    appended_bytes: AtomicU64,
    unsynced_bytes: AtomicU64,
    /// Bytes of the records that were appended, after compression.
    stored_bytes: AtomicU64,
}

/// The end of the log.
#[derive(Debug)]
struct End {
    position: u64,
    chain: Chain,
    commit: u64,
}

/// The records whose commits the local copy may lack.
#[derive(Debug, Default)]
pub(crate) struct Appended {
    records: Mutex<VecDeque<Place>>,
    /// Bytes of these records.
    bytes: AtomicU64,
}

/// The place of a record in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u64,
    /// The first and the last commit of the record.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) before: Chain,
    pub(crate) chain: Chain,
    pub(crate) bytes: u64,
}

impl Appended {
    /// Adds the newest record.
    pub(crate) fn push(&self, place: Place) {
        let mut records = self.records();
        // Under the lock, so that the bytes are not subtracted before they are added.
        self.bytes.fetch_add(place.bytes, Ordering::Relaxed);
        records.push_back(place);
    }

    /// Returns the place of the record that has this commit.
    pub(crate) fn of(&self, commit: u64) -> Option<Place> {
        let records = self.records();
        let index = records.partition_point(|place| place.last < commit);
        records.get(index).copied()
    }

    /// Returns the newest record.
    pub(crate) fn newest(&self) -> Option<Place> {
        self.records().back().copied()
    }

    /// Returns the size of these records, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Forgets the records before the one with this commit.
    pub(crate) fn trim(&self, commit: u64) {
        let mut records = self.records();
        while records.front().is_some_and(|place| place.last < commit) {
            let bytes = records.pop_front().map_or(0, |place| place.bytes);
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Ignores poisoning: each change is one call.
    fn records(&self) -> MutexGuard<'_, VecDeque<Place>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplicatedLog {
    /// Creates the log of a tenure. `appended` has the records that were read from the log for the local copy.
    pub(crate) fn new(
        shared: Arc<dyn SharedLog>,
        tenure: &Tenure,
        appended: Arc<Appended>,
        record_bytes: usize,
    ) -> Self {
        Self {
            shared,
            epoch: tenure.epoch,
            record_bytes,
            pending: Mutex::default(),
            end: Mutex::new(End {
                position: tenure.log.head,
                chain: tenure.log.chain,
                commit: tenure.log.commit,
            }),
            appended,
            appended_bytes: AtomicU64::new(0),
            unsynced_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
        }
    }

    /// Checks that no other node has become the owner.
    pub(crate) fn confirm(&self) -> Result<()> {
        if planted::is(Fault::SkipConfirm) {
            return Ok(());
        }
        let acknowledged = self.appended.newest().map_or(0, |place| place.position);
        let found = self.shared.confirm(self.epoch)?;
        if found < acknowledged {
            return Err(LogError::WentBack { acknowledged, found }.into());
        }
        Ok(())
    }

    /// Returns the size of the records of this tenure, in bytes.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.stored_bytes.load(Ordering::Relaxed)
    }

    fn append_record(&self, end: &mut End, commits: &Commits) -> Result<(), LogError> {
        let (first, last) = commits.range();
        let body = commits.compress();
        let record = Record {
            position: end.position + 1,
            first,
            last,
            chain: end.chain.after(first, last, &body),
            body,
        };
        self.shared.append(self.epoch, &record)?;
        self.stored_bytes.fetch_add(record.body.len() as u64, Ordering::Relaxed);
        self.appended.push(Place {
            position: record.position,
            first,
            last,
            before: end.chain,
            chain: record.chain,
            bytes: record.body.len() as u64,
        });
        *end = End {
            position: record.position,
            chain: record.chain,
            commit: last,
        };
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, Vec<Commits>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for ReplicatedLog {
    fn append(&self, commit: u64, changes: &[u8]) {
        let mut pending = self.pending();
        if pending
            .last()
            .is_none_or(|commits| commits.bytes() >= self.record_bytes)
        {
            pending.push(Commits::default());
        }
        let commits = pending.last_mut().expect("there is one");
        let before = commits.bytes();
        commits.push(commit, changes);
        let bytes = (commits.bytes() - before) as u64;
        self.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Under the lock, so that the bytes are not subtracted before they are added.
        self.unsynced_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn sync(&self) -> Result<u64> {
        // After a failed append, the store is poisoned, so nobody relies on what the panic of another thread left.
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = std::mem::take(&mut *self.pending());
        if pending.is_empty() {
            // Another thread has appended what the caller waits for, perhaps before a read that the caller confirms.
            self.confirm()?;
        }
        for commits in &pending {
            self.append_record(&mut end, commits)?;
            self.unsynced_bytes.fetch_sub(commits.bytes() as u64, Ordering::Relaxed);
        }
        Ok(end.commit)
    }

    /// The shared log keeps its records until a snapshot replaces them.
    fn trim(&self, commit: u64) -> Result<()> {
        self.appended.trim(commit);
        Ok(())
    }

    fn wants_room(&self) -> bool {
        false
    }

    fn make_room(&self) -> Result<()> {
        Ok(())
    }

    fn stats(&self) -> LogStats {
        let unsynced_bytes = self.unsynced_bytes.load(Ordering::Relaxed);
        LogStats {
            appended_bytes: self.appended_bytes.load(Ordering::Relaxed),
            unsynced_bytes,
            live_bytes: self.appended.bytes() + unsynced_bytes,
        }
    }
}
