//! The `ACKNOWLEDGED` file: the promise of the store, kept outside its log.
//!
//! A log whose end is lost is indistinguishable from a log that was never longer. Therefore the newest acknowledged
//! commit is also written to this file, and an open compares the two.
//!
//! Writes alternate between two slots, so a torn write leaves the previous slot intact. The slots are a page apart
//! because a disk writes whole sectors.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{io_error, open_private, read_if_present};
use crate::planted::{self, Fault};
use crate::time::Stopwatch;

const ACKNOWLEDGED: &str = "ACKNOWLEDGED";
const VERSION: u8 = 3;
/// Flag of a store that was closed.
const CLEAN: u8 = 1;
/// Flag of a store that the process left in an orderly way.
const LEFT: u8 = 2;
const SLOT_BYTES: usize = 32;
pub(crate) const SLOT_OFFSETS: [u64; 2] = [0, 4096];

/// Maximum lag of the file on disk. A power loss hides at most the acknowledgments of this interval.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// The content of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// The newest durable commit that was acknowledged.
    pub(crate) commit: u64,
    /// True if the store was closed with this commit as its last.
    pub(crate) clean: bool,
    /// True if the process left the store in an orderly way, closed or not. The process was not killed and did not
    /// crash.
    pub(crate) left: bool,
    /// The first batch since which every life has ended without a kill or a crash.
    pub(crate) calm_since: u64,
}

impl Acknowledged {
    /// Returns the first batch since which no crash has happened, for a life that begins with batch `first`.
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
    /// Returns the newest slot of the file, or `None` if the file does not exist. Changes nothing.
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
                    "{} is broken, so acknowledged commits may be missing; \
                     restore a backup, or open with accept_loss to continue with the remaining data",
                    path.display()
                ),
            )),
        }
    }

    /// Opens the file for a store that is now open, and makes `acknowledged` durable in both slots, regardless of their
    /// content.
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

    /// Writes the next slot without waiting for the disk. From then on, it outlives the process.
    pub(crate) fn write(&mut self, acknowledged: Acknowledged) -> Result<()> {
        if acknowledged == self.newest || planted::is(Fault::SkipAcknowledged) {
            return Ok(());
        }
        self.write_slot(acknowledged)
    }

    /// Records in the newest slot that the process leaves the store in an orderly way. The file already has its final
    /// size, so this works on a full disk.
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

    /// Makes the newest slot durable if the last sync was at least an interval ago.
    pub(crate) fn sync_if_due(&mut self) -> Result<()> {
        if self.is_due(self.synced_at.elapsed()) {
            self.sync()?;
        }
        Ok(())
    }

    fn is_due(&self, since_sync: Duration) -> bool {
        self.unsynced && since_sync >= SYNC_INTERVAL
    }

    /// Makes the newest slot durable. From then on, it outlives a power loss.
    pub(crate) fn sync(&mut self) -> Result<()> {
        let synced = self.file.sync_data();
        synced.map_err(|error| io_error("sync", &self.path, error))?;
        self.unsynced = false;
        self.synced_at = Stopwatch::start();
        Ok(())
    }
}

/// Returns the valid slot with the highest generation.
pub(crate) fn newest_slot(bytes: &[u8]) -> Option<(u64, Acknowledged)> {
    let slots = SLOT_OFFSETS.iter().filter_map(|&offset| {
        let start = usize::try_from(offset).ok()?;
        decode(bytes.get(start..start + SLOT_BYTES)?)
    });
    slots.max_by_key(|(generation, _)| *generation)
}

/// Encodes a slot: CRC-32 of the rest, version, flags, two zero bytes, then three big-endian numbers.
pub(crate) fn encode(generation: u64, acknowledged: Acknowledged) -> [u8; SLOT_BYTES] {
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
    // Other bits have a meaning that this build does not know.
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
