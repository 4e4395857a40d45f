//! The commit log, which is the source of truth of a hub. Everything else is derived from it.
//!
//! A log is a sequence of *records*, one per commit, in *segments*, which are files. A commit is appended in memory and
//! becomes durable with the next sync, which writes everything appended so far. The log does not interpret the changes
//! of a commit.

#[cfg(feature = "cluster")]
pub(crate) mod commits;
mod disk;
mod files;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(feature = "cluster")]
pub(crate) mod postgres;
mod reading;
mod record;
#[cfg(feature = "cluster")]
pub(crate) mod replicated;
mod segment;
#[cfg(feature = "cluster")]
pub(crate) mod shared;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

pub(crate) use files::{FileLog, remove_all};
#[cfg(any(feature = "fuzzing", test))]
pub(crate) use reading::read_on;
pub(crate) use reading::{Reading, read, skip};

use crate::error::Result;

/// A log that is open for writing. Every error is final: the caller poisons the hub and never retries.
pub(crate) trait Log: Send + Sync + fmt::Debug {
    /// Appends the next commit in memory, without a system call.
    fn append(&self, commit: u64, changes: &[u8]);

    /// Makes all commits that were appended before the call durable. Returns the number of the newest durable commit.
    fn sync(&self) -> Result<u64>;

    /// Discards the commits up to `commit`, which are no longer needed.
    fn trim(&self, commit: u64) -> Result<()>;

    /// Returns `true` if [`make_room`](Self::make_room) has work to do.
    fn wants_room(&self) -> bool;

    /// Creates room for the next records, so a sync does not have to wait for it.
    fn make_room(&self) -> Result<()>;

    /// Returns the statistics of the log without blocking.
    fn stats(&self) -> LogStats;
}

/// Statistics of a log: its content, and its work since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogStats {
    /// Appended bytes.
    pub(crate) appended_bytes: u64,
    /// Appended bytes that are not durable yet.
    pub(crate) unsynced_bytes: u64,
    /// Approximate number of bytes from the first segment with an untrimmed commit to the last record.
    pub(crate) live_bytes: u64,
}
