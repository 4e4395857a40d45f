//! Finds a gap in RocksDB's logs.
//!
//! A crash must take a suffix of the commits and nothing else. RocksDB does not quite see to that: its reader takes a
//! record of zeros for the unused rest of a block and goes on with the next block, and a log that ends between two
//! records is whole to it. So where a power loss, or a disk, kept a later block and lost an earlier one, it replays
//! around the gap without a word. Each batch says which sequence numbers it has, so a gap can be seen: here the logs
//! are read as RocksDB reads them, and the numbers are compared.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rocksdb::{WriteBatch, WriteBatchIterator};

use super::log::Log;
use crate::error::{Error, ErrorKind, Result};
use crate::store::directory::sync_directory;
use crate::store::keys;
use crate::store::records::{self, CommitRecord};

/// The first place where the logs do not go on as they were written.
#[derive(Debug)]
pub(super) struct Gap {
    log: PathBuf,
    /// Where the last batch before the gap ends.
    end: u64,
    /// The commit of that batch, if it is in a log.
    pub(super) newest: Option<u64>,
    /// The logs behind the one with the gap.
    later: Vec<PathBuf>,
}

impl Gap {
    /// Searches the logs from number `first` on, which are those that a recovery would replay.
    pub(super) fn find(database: &Path, first: u64) -> Result<Option<Self>> {
        let logs = logs(database, first)?;
        let mut expected = None;
        let mut newest = Vec::new();
        // Where a gap would begin: behind the last batch, which may be in an earlier log than the one that is read.
        let mut end = (0, 0);
        for (index, (number, path)) in logs.iter().enumerate() {
            let mut log = Log::open(path, *number)?;
            while log.next()? {
                let Some((sequence, count)) = sequence(log.payload()) else {
                    return Self::behind(&logs, end, &newest);
                };
                let goes_on = match expected {
                    Some(expected) => expected == sequence,
                    // Nothing says with which number the logs begin. But a log begins with its first batch, and RocksDB
                    // itself knows whether a whole log is missing.
                    None => log.zeros().is_none(),
                };
                if !goes_on {
                    return Self::behind(&logs, end, &newest);
                }
                expected = Some(sequence + u64::from(count));
                end = (index, log.end());
                std::mem::swap(log.payload(), &mut newest);
            }
        }
        Ok(None)
    }

    /// The gap behind the batch `newest`, which ends at this byte of this log.
    fn behind(logs: &[(u64, PathBuf)], (index, end): (usize, u64), newest: &[u8]) -> Result<Option<Self>> {
        let Ok(newest) = commit_of(newest) else {
            // The batch is broken, so that its CRC is wrong and RocksDB stops there: nothing is replayed around a gap.
            return Ok(None);
        };
        Ok(Some(Self {
            log: logs[index].1.clone(),
            end,
            newest,
            later: logs[index + 1..].iter().map(|(_, path)| path.clone()).collect(),
        }))
    }

    /// Takes away what is behind the gap, which is what a crash takes: nobody was told of it.
    pub(super) fn cut(&self) -> Result<()> {
        tracing::warn!(log = %self.log.display(), end = self.end, "cutting the log at a gap that a crash has left");
        let failed = |path: &Path, error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("cannot cut {}: {error}", path.display())).with_source(error)
        };
        // The latest go first, so that a crash in between leaves no new gap.
        for log in self.later.iter().rev() {
            fs::remove_file(log).map_err(|error| failed(log, error))?;
        }
        let log = OpenOptions::new().write(true).open(&self.log);
        let cut = log.and_then(|log| log.set_len(self.end).and_then(|()| log.sync_all()));
        cut.map_err(|error| failed(&self.log, error))?;
        self.log.parent().map_or(Ok(()), sync_directory)
    }

    /// The gap as an error, for a store of which nobody can say how much is before it.
    pub(super) fn error(&self) -> Error {
        Error::new(
            ErrorKind::Corrupted,
            format!(
                "{} has a gap at byte {} and more behind it; restore a backup, or open with accept_loss to go on \
                 without what is behind the gap",
                self.log.display(),
                self.end
            ),
        )
    }
}

/// The first sequence number of a batch and how many it has: its first 8 bytes and the next 4.
fn sequence(batch: &[u8]) -> Option<(u64, u32)> {
    let sequence = batch.get(..8)?.try_into().ok()?;
    let count = batch.get(8..12)?.try_into().ok()?;
    Some((u64::from_le_bytes(sequence), u32::from_le_bytes(count)))
}

/// The logs from number `first` on, in their order.
fn logs(database: &Path, first: u64) -> Result<Vec<(u64, PathBuf)>> {
    let entries = fs::read_dir(database).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot list {}: {error}", database.display())).with_source(error)
    })?;
    let mut logs: Vec<_> = entries
        .iter()
        .filter_map(|entry| {
            let name = entry.file_name();
            let number: u64 = name.to_str()?.strip_suffix(".log")?.parse().ok()?;
            (number >= first).then(|| (number, entry.path()))
        })
        .collect();
    logs.sort();
    Ok(logs)
}

/// The number of the commit that a batch holds.
fn commit_of(payload: &[u8]) -> Result<Option<u64>> {
    #[derive(Default)]
    struct CommitRow(Option<Vec<u8>>);

    impl WriteBatchIterator for CommitRow {
        fn put(&mut self, key: &[u8], value: &[u8]) {
            if key == keys::COMMIT {
                self.0 = Some(value.to_vec());
            }
        }

        fn delete(&mut self, _key: &[u8]) {}
    }

    if payload.is_empty() {
        return Ok(None);
    }
    let mut found = CommitRow::default();
    WriteBatch::from_data(payload).iterate(&mut found);
    let Some(row) = found.0 else {
        return Ok(None);
    };
    let commit: CommitRecord = records::decode(&row, "commit")?;
    Ok(Some(commit.number))
}
