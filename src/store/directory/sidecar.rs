//! The `ACKNOWLEDGED` file: what the store promised, kept outside its log.
//!
//! A log whose end is lost looks like one that was never longer. So the newest commit that somebody may know of is also written
//! here, and an open compares the two.
//!
//! Two slots take turns, so that a torn write leaves the one before it. They are a page apart because a disk writes
//! whole sectors.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{io_error, open_private, read_if_present};
use crate::time::Stopwatch;

const ACKNOWLEDGED: &str = "ACKNOWLEDGED";
const VERSION: u8 = 3;
/// The store was closed.
const CLEAN: u8 = 1;
/// The process has given up the store in an orderly way.
const LEFT: u8 = 2;
const SLOT_BYTES: usize = 32;
const SLOT_OFFSETS: [u64; 2] = [0, 4096];

/// How far the file on disk may be behind: a power loss hides at most so much of what was acknowledged.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// What one slot says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// The newest commit that was durable and that somebody may know of.
    pub(crate) commit: u64,
    /// Whether the store was closed with this commit as its last.
    pub(crate) clean: bool,
    /// Whether the process has given up the store in an orderly way, closed or not: it was neither killed nor did it crash.
    pub(crate) left: bool,
    /// The first batch since which every life has ended without a kill or a crash.
    pub(crate) calm_since: u64,
}

impl Acknowledged {
    /// From which batch on nothing was running in a crash, for a life that begins with batch `first`.
    pub(crate) fn calm_since(&self, first: u64) -> u64 {
        if self.left { self.calm_since.min(first) } else { first }
    }
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Sidecar {
    path: PathBuf,
    file: File,
    generation: u64,
    newest: Acknowledged,
    unsynced: bool,
    synced_at: Stopwatch,
}

impl Sidecar {
    /// What the file says; `None` if there is none. Changes nothing.
    pub(crate) fn read(directory: &Path) -> Result<Option<Acknowledged>> {
        let path = directory.join(ACKNOWLEDGED);
        let Some(bytes) = read_if_present(&path)? else {
            return Ok(None);
        };
        match newest_slot(&bytes) {
            Some((_, acknowledged)) => Ok(Some(acknowledged)),
            None => Err(Error::new(
                ErrorKind::Corrupted,
                format!(
                    "{} is broken, so nobody can tell whether acknowledged commits are missing; \
                     restore a backup, or open with accept_loss to go on with what is there",
                    path.display()
                ),
            )),
        }
    }

    /// Opens the file for a store that is open now, and makes `acknowledged` durable in both slots, whatever they held.
    pub(crate) fn begin(directory: &Path, acknowledged: Acknowledged) -> Result<Self> {
        let path = directory.join(ACKNOWLEDGED);
        let file = open_private(&path)?;
        let generation = match read_if_present(&path)?.as_deref().and_then(newest_slot) {
            Some((generation, _)) => generation,
            None => 0,
        };
        let mut sidecar = Self {
            path,
            file,
            generation,
            newest: acknowledged,
            unsynced: false,
            synced_at: Stopwatch::start(),
        };
        sidecar.write_slot(acknowledged)?;
        sidecar.write_slot(acknowledged)?;
        sidecar.sync()?;
        Ok(sidecar)
    }

    /// Writes the next slot, without waiting for the disk: it outlives the process from here on.
    pub(crate) fn write(&mut self, acknowledged: Acknowledged) -> Result<()> {
        if acknowledged == self.newest {
            return Ok(());
        }
        self.write_slot(acknowledged)
    }

    /// Notes in the newest slot that the process gives up the store in an orderly way. The file has its size already, so this
    /// works on a full disk.
    pub(crate) fn leave(&mut self) -> Result<()> {
        self.write(Acknowledged {
            left: true,
            ..self.newest
        })
    }

    fn write_slot(&mut self, acknowledged: Acknowledged) -> Result<()> {
        let generation = self.generation + 1;
        let slot = encode(generation, acknowledged);
        let offset = SLOT_OFFSETS[(generation % 2) as usize];
        let written = self.file.write_all_at(&slot, offset);
        written.map_err(|error| io_error("write", &self.path, error))?;
        self.generation = generation;
        self.newest = acknowledged;
        self.unsynced = true;
        Ok(())
    }

    /// Makes the newest slot durable if the last time was an interval ago.
    pub(crate) fn sync_if_due(&mut self) -> Result<()> {
        if self.unsynced && self.synced_at.elapsed() >= SYNC_INTERVAL {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes the newest slot durable: it outlives a power loss from here on.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let synced = self.file.sync_data();
        synced.map_err(|error| io_error("sync", &self.path, error))?;
        self.unsynced = false;
        self.synced_at = Stopwatch::start();
        Ok(())
    }
}

/// The valid slot with the highest generation.
fn newest_slot(bytes: &[u8]) -> Option<(u64, Acknowledged)> {
    let slots = SLOT_OFFSETS.iter().filter_map(|&offset| {
        let start = usize::try_from(offset).ok()?;
        decode(bytes.get(start..start + SLOT_BYTES)?)
    });
    slots.max_by_key(|(generation, _)| *generation)
}

/// One slot: CRC-32 of the rest, version, flags, two zero bytes, then three big-endian numbers.
fn encode(generation: u64, acknowledged: Acknowledged) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[4] = VERSION;
    slot[5] = if acknowledged.clean { CLEAN } else { 0 } | if acknowledged.left { LEFT } else { 0 };
    slot[8..16].copy_from_slice(&generation.to_be_bytes());
    slot[16..24].copy_from_slice(&acknowledged.commit.to_be_bytes());
    slot[24..32].copy_from_slice(&acknowledged.calm_since.to_be_bytes());
    let crc = crc32fast::hash(&slot[4..]);
    slot[..4].copy_from_slice(&crc.to_be_bytes());
    slot
}

fn decode(slot: &[u8]) -> Option<(u64, Acknowledged)> {
    let number = |start: usize| Some(u64::from_be_bytes(slot.get(start..start + 8)?.try_into().ok()?));
    let crc = u32::from_be_bytes(slot.get(..4)?.try_into().ok()?);
    if crc != crc32fast::hash(slot.get(4..SLOT_BYTES)?) || slot[4] != VERSION {
        return None;
    }
    // Another bit means something that this build does not know.
    if slot[5] & !(CLEAN | LEFT) != 0 || slot[6..8] != [0, 0] {
        return None;
    }
    let acknowledged = Acknowledged {
        commit: number(16)?,
        clean: slot[5] & CLEAN != 0,
        left: slot[5] & LEFT != 0,
        calm_since: number(24)?,
    };
    Some((number(8)?, acknowledged))
}

#[cfg(test)]
mod tests;
