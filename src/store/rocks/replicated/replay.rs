//! The way of a copy through the log: from the first record that it lacks to the newest one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::copy::{Copy, Limits, check_log};
use crate::error::{Error, ErrorKind, Result};
use crate::log::commits::decompress;
use crate::log::replicated::{Appended, Place};
use crate::log::shared::{Chain, LogError, LogState, Record, SharedLog};
use crate::store::durable::Base;
use crate::store::front::{Fronts, View};
use crate::store::{Changes, Reader};
use crate::time::Stopwatch;

/// Interval between two looks whether the readers of a copy are done.
const READER: Duration = Duration::from_millis(1);

/// A copy that has all commits of the log, some of them in fronts.
pub(super) struct Current {
    pub(super) copy: Arc<Copy>,
    pub(super) fronts: Arc<Fronts>,
    /// The newest commit that RocksDB has.
    pub(super) kept: u64,
    pub(super) appended: Arc<Appended>,
}

/// A copy that has the log up to a record.
#[derive(Debug)]
pub(super) struct Replay {
    copy: Arc<Copy>,
    fronts: Arc<Fronts>,
    /// The newest commit that RocksDB has.
    kept: u64,
    /// The newest record that the copy has, and the chain after it.
    position: u64,
    chain: Chain,
    limits: Limits,
    /// When the mark was last moved.
    noted: Stopwatch,
    /// See [`CopiedRows`].
    is_taken_over: Arc<AtomicBool>,
}

/// The rows of a copy that follows the log, for readers. They advance while this is held; a view of them does not.
#[derive(Clone, Debug)]
pub(crate) struct CopiedRows {
    pub(super) copy: Arc<Copy>,
    pub(super) fronts: Arc<Fronts>,
    /// Set before the node that now runs the hub writes to these rows.
    is_taken_over: Arc<AtomicBool>,
}

impl CopiedRows {
    /// Returns `true` if this node may run the hub now. A view that was made before this returned `false` has only durable
    /// rows; another one may have more.
    pub(crate) fn is_taken_over(&self) -> bool {
        self.is_taken_over.load(Ordering::Acquire)
    }

    /// Returns a view of the newest rows, which later commits do not change.
    pub(crate) fn view(&self) -> Box<dyn Reader + '_> {
        Box::new(View::newest(&self.fronts, || self.copy.snapshot()))
    }
}

/// How a step of a copy that follows the log has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Applied,
    /// The copy has all records.
    AtEnd,
    /// The log no longer has what was read: it was never acknowledged, or a snapshot has replaced it. Or the database has lost
    /// the row of this node, which the next beat enters again.
    Unsettled,
    /// A snapshot has replaced records that the copy lacks.
    LeftBehind,
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
    pub(super) fn new(copy: Copy, kept: u64, start: (u64, Chain), limits: Limits) -> Self {
        Self {
            copy: Arc::new(copy),
            fronts: Arc::new(Fronts::over(kept)),
            kept,
            position: start.0 - 1,
            chain: start.1,
            limits,
            noted: Stopwatch::start(),
            is_taken_over: Arc::default(),
        }
    }

    /// Returns `true` if the copy can continue with what the log has. Otherwise, it has to be opened again.
    pub(super) fn fits(&self, state: &LogState) -> bool {
        self.copy.mark().incarnation == state.incarnation && self.position + 1 >= state.first()
    }

    /// Returns what the copy has, for readers, if it has at least the log in this state.
    pub(super) fn rows_at(&self, state: &LogState) -> Option<CopiedRows> {
        let has_all = self.fits(state) && self.position >= state.head;
        has_all.then(|| CopiedRows {
            copy: Arc::clone(&self.copy),
            fronts: Arc::clone(&self.fronts),
            is_taken_over: Arc::clone(&self.is_taken_over),
        })
    }

    /// Closes the copy, and waits until no reader has it open, so that it can be opened again, or until `canceled`.
    pub(super) fn close(self, canceled: &AtomicBool) {
        let copy = Arc::downgrade(&self.copy);
        drop(self);
        while copy.strong_count() > 0 && !canceled.load(Ordering::Relaxed) {
            std::thread::park_timeout(READER);
        }
    }

    /// Returns the newest record that the log has acknowledged, as far as this copy knows, and the chain after it.
    fn known(&self) -> (u64, Chain) {
        let mark = self.copy.mark();
        if mark.position > self.position {
            (mark.position, mark.chain())
        } else {
            (self.position, self.chain)
        }
    }

    /// Checks that a newer state of the log has what this copy has read. If the log has more, the next records show it.
    pub(super) fn check_end(&self, state: &LogState, log: &dyn SharedLog) -> Result<(), Stopped> {
        let (position, chain) = self.known();
        if state.head > position || (state.head, state.chain) == (position, chain) {
            return Ok(());
        }
        self.check_known(state, log)
    }

    /// Applies the next records.
    ///
    /// What it applies is settled: if the log lacks one of these records later, it has lost acknowledged data.
    pub(super) fn follow(&mut self, log: &dyn SharedLog) -> Result<Step, Stopped> {
        let records = log.read(self.position + 1, self.limits.read_bytes)?;
        let follows = records
            .first()
            .is_some_and(|record| record.position == self.position + 1);
        if !follows {
            let state = log.state()?;
            if !self.fits(&state) {
                return Ok(Step::LeftBehind);
            }
            if records.is_empty() {
                if (state.head, state.chain) != self.known() {
                    self.check_known(&state, log)?;
                }
                self.note(Duration::ZERO)?;
                return Ok(Step::AtEnd);
            }
        }
        if let Some(last) = records.last()
            && !log.settle(last.position, last.chain)?
        {
            return Ok(Step::Unsettled);
        }
        if let Err(error) = self.apply(&records) {
            // Perhaps the log went back and has other records now. In any case, the copy must be opened
            // again.
            let checked = log
                .state()
                .map_err(Stopped::from)
                .and_then(|state| self.check_known(&state, log));
            return Err(Stopped::Failed(match checked {
                Err(Stopped::Failed(lost)) => lost,
                _ => error,
            }));
        }
        self.note(self.limits.note_interval)?;
        Ok(Step::Applied)
    }

    /// Applies the rest of a log to which nobody appends any more, and checks its end.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Corrupted`] if the log has lost records that were applied, or is damaged.
    pub(super) fn finish(mut self, state: &LogState, log: &dyn SharedLog) -> Result<Current> {
        self.check_known(state, log)?;
        while self.position < state.head {
            let mut records = log.read(self.position + 1, self.limits.read_bytes)?;
            // Another node may have become the owner.
            records.retain(|record| record.position <= state.head);
            if records.is_empty() {
                return Err(damaged(self.position + 1, "is missing"));
            }
            self.apply(&records)?;
        }
        if (self.fronts.newest(), self.chain) != (state.commit, state.chain) {
            return Err(damaged(state.head, "does not lead to the newest commit"));
        }
        if self.copy.mark().is_void {
            // From here on, the rows count.
            self.copy.note_acknowledged()?;
        }
        self.is_taken_over.store(true, Ordering::Release);
        Ok(Current {
            appended: Arc::clone(&self.copy.appended),
            copy: self.copy,
            fronts: self.fronts,
            kept: self.kept,
        })
    }

    /// Checks that the log still has what it has acknowledged. If it has not, the next open misses it as well.
    fn check_known(&self, state: &LogState, log: &dyn SharedLog) -> Result<(), Stopped> {
        let (position, chain) = self.known();
        let mut checked = check_log(position, chain, state, log);
        if checked.is_err() && position <= state.head && self.was_replaced(position, log)? {
            checked = Ok(());
        }
        checked.map_err(|error| match error.kind() {
            ErrorKind::Corrupted => {
                // If this fails, the mark still names an earlier record, which may be missing as well.
                let _ = self.copy.note_acknowledged();
                Stopped::Failed(error)
            }
            _ => Stopped::Unread(error),
        })
    }

    /// Returns `true` if a snapshot has replaced a record since the state of the log was read.
    fn was_replaced(&self, position: u64, log: &dyn SharedLog) -> Result<bool, LogError> {
        let is_absent = log
            .read(position, 1)?
            .first()
            .is_none_or(|record| record.position > position);
        Ok(is_absent && position < log.state()?.first())
    }

    /// Moves the mark to the newest record, unless that has happened less than `interval` ago.
    fn note(&mut self, interval: Duration) -> Result<(), Stopped> {
        if self.noted.elapsed() < interval {
            return Ok(());
        }
        self.copy.note_acknowledged().map_err(Stopped::Failed)?;
        self.noted = Stopwatch::start();
        Ok(())
    }

    /// Applies records, which have to follow, and checks the chain. After an error, the replay must not be used.
    fn apply(&mut self, records: &[Record]) -> Result<()> {
        for record in records {
            let after = self.chain.after(record.first, record.last, &record.body);
            if record.position != self.position + 1 || record.chain != after {
                return Err(damaged(self.position + 1, "is missing or damaged"));
            }
            let mark = self.copy.mark();
            if record.position == mark.position && after != mark.chain() {
                return Err(damaged(record.position, "is another one than before"));
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
        // Only the mark vouches for the rows, and it is checked when the replay passes it. The rows of a new copy do not
        // count until then.
        let mark = self.copy.mark();
        if self.position < mark.position && !mark.is_void {
            return Ok(());
        }
        let is_large = self.fronts.size().active_bytes >= self.limits.bounds.front_bytes
            || self.copy.appended.bytes() >= self.limits.bounds.log_bytes;
        if is_large && let (commit, Some(front)) = self.fronts.freeze() {
            self.copy.take(&front)?;
            self.fronts.retire();
            self.copy.appended.trim(commit);
            self.kept = commit;
        }
        Ok(())
    }
}

/// Applies a commit, unless the copy has it.
fn apply(fronts: &Fronts, commit: u64, bytes: &[u8]) -> Result<()> {
    let newest = fronts.newest();
    if commit <= newest {
        return Ok(());
    }
    let mut changes = Changes::of(bytes);
    // Only a record that stands for commits of a snapshot has none.
    if commit == newest + 1 && !bytes.is_empty() {
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

/// Returns the error of an owner that found the log damaged. A later owner may have replaced what this one was reading.
pub(super) fn damaged_or_replaced(error: Error, epoch: u64, log: &dyn SharedLog) -> Error {
    if error.kind() != ErrorKind::Corrupted {
        return error;
    }
    match log.confirm(epoch) {
        Ok(_) => error,
        Err(reason) => reason.into(),
    }
}
