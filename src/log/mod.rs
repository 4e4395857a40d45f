//! The commit log: the truth of a hub. Everything else is made from it.
//!
//! A log is a sequence of *records*, one for each commit, in *segments*, which are files. A commit is appended in memory and becomes
//! durable with the next sync, which writes whatever has been appended by then. What the changes of a commit mean is not known
//! here.

mod disk;
mod files;
mod reading;
mod record;
mod segment;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

pub(crate) use files::{FileLog, remove_all};
#[cfg(test)]
pub(crate) use reading::read_on;
pub(crate) use reading::{Reading, read, skip};

use crate::error::Result;

/// A log that is open for writing. Every error is final: the caller poisons the hub and never tries again.
pub(crate) trait Log: Send + Sync + fmt::Debug {
    /// Takes the next commit into memory. It makes no system call.
    fn append(&self, commit: u64, changes: &[u8]);

    /// Makes everything durable that was appended before the call, and returns the number of the newest durable commit.
    fn sync(&self) -> Result<u64>;

    /// Gives up the commits up to `commit`: nobody will read them again.
    fn trim(&self, commit: u64) -> Result<()>;

    /// Whether [`make_room`](Self::make_room) has something to do.
    fn wants_room(&self) -> bool;

    /// Makes room for what comes next, so that no sync has to wait for it.
    fn make_room(&self) -> Result<()>;

    /// What the log holds and has done. It waits for nothing.
    fn stats(&self) -> LogStats;
}

/// What a log holds, and what it has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogStats {
    /// Bytes that were appended.
    pub(crate) appended_bytes: u64,
    /// Bytes that were appended and are not durable yet.
    pub(crate) unsynced_bytes: u64,
    /// Bytes from the first segment with a commit that was not trimmed to the last record, about.
    pub(crate) live_bytes: u64,
}
