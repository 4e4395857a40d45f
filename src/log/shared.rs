//! A log that several processes can reach, of which one may append to it.
//!
//! The right to append is a *tenure*, named by its *epoch*. A process begins a tenure by raising the epoch of the log,
//! and from then on no earlier tenure can append. An append names the epoch and the position at which it expects the end
//! of the log, and the log compares both in one step. No clock decides anything.

use std::fmt;
use std::time::Duration;

use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, ErrorKind, Result};

/// The log of one hub.
pub(crate) trait SharedLog: Send + Sync + fmt::Debug {
    /// Appends a record at its position. Appending the same record again has no effect. When the call returns, the
    /// record is as durable as the log makes it.
    fn append(&self, epoch: u64, record: &Record) -> Result<(), LogError>;

    /// Checks that no later tenure had begun when the call began. Returns the position of the newest record.
    fn confirm(&self, epoch: u64) -> Result<u64, LogError>;

    /// Returns the state of the log.
    fn state(&self) -> Result<LogState, LogError>;

    /// Returns the state of the log at a moment after the call began, and waits until that state is as durable as the log
    /// makes it. What any process was acknowledged before the call is in it.
    fn barrier(&self) -> Result<LogState, LogError>;

    /// Notes that this process has read the records up to the one at `position`, with this chain, and waits until they are
    /// as durable as the log makes them. Returns `false` if the log does not have that record now: a record that can be
    /// read may still be missing on the standby of a database, and a snapshot may have replaced it.
    fn settle(&self, position: u64, chain: Chain) -> Result<bool, LogError>;

    /// Returns the records from a position on, in order: at least one, if there is one, and about `bytes` bytes.
    fn read(&self, from: u64, bytes: usize) -> Result<Vec<Record>, LogError>;

    /// Returns the position of the record with a commit, or of the first record after it, from the position `from` on.
    fn find(&self, commit: u64, from: u64) -> Result<Option<u64>, LogError>;

    /// Returns the size of all records, in bytes.
    fn bytes(&self) -> Result<u64, LogError>;

    /// Records the first batch since which no crash has happened.
    fn set_calm_since(&self, epoch: u64, batch: u64) -> Result<(), LogError>;

    /// Stores a part of a snapshot, which nobody sees before [`publish`](Self::publish).
    fn put_part(&self, epoch: u64, position: u64, part: u32, body: &[u8]) -> Result<(), LogError>;

    /// Replaces the newest snapshot, and discards the records before its position and all other snapshots. The log must
    /// have all parts, and the record at the position, whose chain is `chain`: it may have lost them since.
    fn publish(&self, epoch: u64, snapshot: Snapshot, chain: Chain) -> Result<(), LogError>;

    /// Returns a part of a snapshot.
    fn part(&self, snapshot: Snapshot, part: u32) -> Result<Vec<u8>, LogError>;

    /// Ends a tenure, so that the next one can begin at once. Gives up after `patience`.
    fn release(&self, epoch: u64, patience: Duration) -> Result<(), LogError>;
}

/// The reason why a shared log refuses.
#[derive(Debug)]
pub(crate) enum LogError {
    /// A later tenure has begun.
    Fenced,
    /// The log lacks records that it has acknowledged.
    WentBack { acknowledged: u64, found: u64 },
    /// Anything else. The error is final.
    Failed(Error),
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Failed(error) => error,
            LogError::Fenced => {
                let text = "another node runs this hub now; open the hub again to wait for it";
                Error::new(ErrorKind::Replaced, text)
            }
            LogError::WentBack { acknowledged, found } => Error::new(
                ErrorKind::Corrupted,
                format!(
                    "the database has lost data: it acknowledged the records of this hub up to {acknowledged}, and has them \
                 only up to {found}; it was restored from a backup, or it failed over to a standby that was behind; \
                 restore a newer state of it, or continue without them: `abide cluster accept-loss`"
                ),
            ),
        }
    }
}

/// The checksum of a record and of all records before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chain(pub(crate) [u8; 16]);

impl Chain {
    /// Returns the chain after a record with this content.
    pub(crate) fn after(self, first: u64, last: u64, body: &[u8]) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(&self.0);
        hasher.update(&first.to_le_bytes());
        hasher.update(&last.to_le_bytes());
        hasher.update(body);
        Self(hasher.digest128().to_be_bytes())
    }
}

/// Commits that were appended together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its position in the log. The first record has the position 1.
    pub(crate) position: u64,
    /// The numbers of its first and its last commit.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) chain: Chain,
    /// The commits, compressed. See [`Commits`](super::commits::Commits).
    pub(crate) body: Vec<u8>,
}

/// All rows of a hub as of a commit of the record at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The tenure that has made it. An earlier owner may still write parts for the same position.
    pub(crate) epoch: u64,
    pub(crate) position: u64,
    pub(crate) parts: u32,
    /// The chain before the record at the position.
    pub(crate) before: Chain,
}

/// The right to append, and the state of the log when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenure {
    pub(crate) epoch: u64,
    pub(crate) log: LogState,
}

/// The state of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogState {
    /// The incarnation of the hub. A hub that continues without data that its log has lost begins a new one.
    pub(crate) incarnation: u64,
    /// The position of the newest record, or 0.
    pub(crate) head: u64,
    /// The newest commit, or 0.
    pub(crate) commit: u64,
    pub(crate) chain: Chain,
    pub(crate) snapshot: Option<Snapshot>,
}

impl LogState {
    /// Returns the position of the first record that the log certainly has, if it has any.
    pub(crate) fn first(&self) -> u64 {
        self.snapshot.map_or(1, |snapshot| snapshot.position)
    }
}
