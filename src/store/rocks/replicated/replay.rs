//! The way of a copy through the log: from the first record that it lacks to the newest one.

use std::path::PathBuf;
use std::sync::Arc;

use super::copy::{Copy, check_log, remove_all};
use crate::error::{Error, ErrorKind, Result};
use crate::log::commits::decompress;
use crate::log::replicated::{Appended, Place};
use crate::log::shared::{Chain, LogError, LogState, Record, SharedLog};
use crate::store::Changes;
use crate::store::durable::{Base, Bounds};
use crate::store::front::Fronts;

/// Bytes of records that are read at once.
const READ: usize = 4 << 20;

/// A copy that has all commits of the log, some of them in fronts.
pub(super) struct Current {
    pub(super) copy: Copy,
    pub(super) fronts: Fronts,
    /// The newest commit that RocksDB has.
    pub(super) kept: u64,
    pub(super) appended: Arc<Appended>,
}

/// A copy that has the log up to a record.
#[derive(Debug)]
pub(super) struct Replay {
    copy: Copy,
    fronts: Fronts,
    /// The newest commit that RocksDB has.
    kept: u64,
    /// The newest record that the copy has, and the chain after it.
    position: u64,
    chain: Chain,
    bounds: Bounds,
    /// The copy that this one replaces, until it is at the end of the log.
    old: Option<PathBuf>,
}

/// The reason why a copy could not continue.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The log could not be read. Another attempt may succeed.
    Unread(Error),
    /// The copy does not fit the log, or could not be written. It has to be opened again.
    Failed(Error),
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Unread(error) | Stopped::Failed(error) => error,
        }
    }
}

impl From<LogError> for Stopped {
    fn from(error: LogError) -> Self {
        Self::Unread(error.into())
    }
}

impl Replay {
    /// Creates the replay of a copy that has the commits up to `kept`. `start` is the record with the first commit that it
    /// lacks, or an earlier one, and the chain before this record.
    pub(super) fn new(copy: Copy, kept: u64, start: (u64, Chain), bounds: Bounds, old: Option<PathBuf>) -> Self {
        Self {
            copy,
            fronts: Fronts::over(kept),
            kept,
            position: start.0 - 1,
            chain: start.1,
            bounds,
            old,
        }
    }

    /// Returns the incarnation of the hub that the copy is of.
    pub(super) fn incarnation(&self) -> u64 {
        self.copy.incarnation()
    }

    /// Applies the next records. Returns `false` if there are none.
    ///
    /// What it applies is settled: if the log lacks one of these records later, it has lost acknowledged data.
    pub(super) fn follow(&mut self, log: &dyn SharedLog) -> Result<bool, Stopped> {
        let records = log.read(self.position + 1, READ)?;
        let Some(last) = records.last() else {
            self.remove_old().map_err(Stopped::Failed)?;
            return Ok(false);
        };
        log.settle(last.position)?;
        self.apply(&records).map_err(Stopped::Failed)?;
        Ok(true)
    }

    /// Applies the rest of a log to which nobody appends any more, and checks its end.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Corrupted`] if the log has lost records that were applied, or is damaged.
    pub(super) fn finish(mut self, state: &LogState, log: &dyn SharedLog) -> Result<Current> {
        if let Err(error) = check_log(self.position, self.chain, state, log) {
            if error.kind() == ErrorKind::Corrupted {
                // So that the next open does not miss the loss.
                self.copy.note_acknowledged(self.position, self.chain)?;
            }
            return Err(error);
        }
        while self.position < state.head {
            let records = log.read(self.position + 1, READ)?;
            if records.is_empty() {
                return Err(damaged(self.position + 1, "is missing"));
            }
            self.apply(&records)?;
        }
        if (self.fronts.newest(), self.chain) != (state.commit, state.chain) {
            return Err(damaged(state.head, "does not lead to the newest commit"));
        }
        self.remove_old()?;
        Ok(Current {
            appended: Arc::clone(&self.copy.appended),
            copy: self.copy,
            fronts: self.fronts,
            kept: self.kept,
        })
    }

    /// Applies records, which have to follow, and checks the chain. After an error, the replay must not be used.
    fn apply(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            let after = self.chain.after(record.first, record.last, &record.body);
            if record.position != self.position + 1 || record.chain != after {
                return Err(damaged(self.position + 1, "is missing or damaged"));
            }
            decompress(&record.body, &mut |commit, changes| {
                apply(&self.fronts, commit, changes)
            })?;
            self.copy.appended.push(Place {
                position: record.position,
                first: record.first,
                last: record.last,
                before: self.chain,
                chain: after,
                bytes: record.body.len() as u64,
            });
            (self.position, self.chain) = (record.position, after);
            self.materialize()?;
        }
        Ok(())
    }

    /// Moves the front to RocksDB if it is large, or if RocksDB lacks much of the log.
    fn materialize(&mut self) -> Result<()> {
        let is_large = self.fronts.size().active_bytes >= self.bounds.front_bytes
            || self.copy.appended.bytes() >= self.bounds.log_bytes;
        if is_large && let (commit, Some(front)) = self.fronts.freeze() {
            self.copy.take(&front)?;
            self.fronts.retire();
            self.copy.appended.trim(commit);
            self.kept = commit;
        }
        Ok(())
    }

    fn remove_old(&mut self) -> Result<()> {
        self.old.take().map_or(Ok(()), |old| remove_all(&old))
    }
}

/// Applies a commit, unless the copy has it.
fn apply(fronts: &Fronts, commit: u64, bytes: &[u8]) -> Result<()> {
    let newest = fronts.newest();
    if commit <= newest {
        return Ok(());
    }
    let mut changes = Changes::of(bytes);
    if commit == newest + 1 {
        fronts.apply(&mut changes, |_| {});
        if changes.is_at_end() {
            return Ok(());
        }
    }
    Err(Error::new(
        ErrorKind::Corrupted,
        format!("commit {commit} in the database does not follow commit {newest}, or this build does not support it"),
    ))
}

/// Returns the error for a record of the log.
pub(super) fn damaged(position: u64, what: &str) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!("record {position} of the log in the database {what}; restore a backup of the database"),
    )
}
