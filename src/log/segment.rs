//! A file of the log: a block that identifies the segment, followed by preallocated space for records. Because of the
//! preallocation, a sync changes no metadata.

use std::path::Path;

use uuid::Uuid;

use super::disk::Disk;
use crate::error::{Error, ErrorKind, Result};

/// Offset of the first record.
pub(super) const START: usize = 4096;

const MAGIC: [u8; 8] = *b"abidelog";
const VERSION: u32 = 1;

/// Number of zeros written at once.
const ZEROS: usize = 1 << 20;

/// A segment that is open for writing.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) number: u64,
    file: F,
    /// Capacity in bytes, including the first block.
    pub(super) bytes: usize,
}

/// Returns the block that begins segment `number` of a hub.
pub(super) fn block(hub: Uuid, number: u64) -> [u8; START] {
    let mut block = [0; START];
    block[8..16].copy_from_slice(&MAGIC);
    block[16..20].copy_from_slice(&VERSION.to_le_bytes());
    block[24..40].copy_from_slice(hub.as_bytes());
    block[40..48].copy_from_slice(&number.to_le_bytes());
    let checksum = crc32fast::hash(&block[4..]);
    block[..4].copy_from_slice(&checksum.to_le_bytes());
    block
}

impl<F> Segment<F> {
    /// Creates a segment of at least `bytes` bytes, all of which are durable when the call returns. A file that an
    /// earlier life left unfinished is overwritten.
    pub(super) fn create(disk: &impl Disk<File = F>, hub: Uuid, number: u64, bytes: usize) -> Result<Self> {
        let segment = Self {
            number,
            file: disk.open(number)?,
            bytes: bytes.max(START),
        };
        let zeros = vec![0; ZEROS.min(segment.bytes)];
        let mut at = 0;
        while at < segment.bytes {
            let part = zeros.len().min(segment.bytes - at);
            segment.write(disk, &zeros[..part], at)?;
            at += part;
        }
        segment.begin(disk, hub)?;
        Ok(segment)
    }

    /// Creates a segment from the file of another one that is no longer needed.
    pub(super) fn recycle(self, disk: &impl Disk<File = F>, hub: Uuid, number: u64) -> Result<Self> {
        disk.rename(self.number, number)?;
        let segment = Self { number, ..self };
        segment.begin(disk, hub)?;
        Ok(segment)
    }

    /// Opens an existing segment.
    pub(super) fn open(disk: &impl Disk<File = F>, number: u64) -> Result<Self> {
        let file = disk.open(number)?;
        let bytes = disk.length(number, &file)?;
        Ok(Self { number, file, bytes })
    }

    /// Removes the file. A crash may bring the file back, but its content was already discarded.
    pub(super) fn remove(self, disk: &impl Disk<File = F>) -> Result<()> {
        disk.remove(self.number)
    }

    pub(super) fn write(&self, disk: &impl Disk<File = F>, bytes: &[u8], at: usize) -> Result<()> {
        disk.write(self.number, &self.file, bytes, at)
    }

    /// Makes all writes durable.
    pub(super) fn sync(&self, disk: &impl Disk<File = F>) -> Result<()> {
        disk.sync(self.number, &self.file)
    }

    /// Writes the first block and makes the segment durable, including its name.
    fn begin(&self, disk: &impl Disk<File = F>, hub: Uuid) -> Result<()> {
        let block = block(hub, self.number);
        self.write(disk, &block, 0)?;
        self.sync(disk)?;
        disk.sync_names()
    }
}

/// The state of the first block of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// The block identifies this segment of this hub.
    Here,
    /// The block is valid but identifies another segment: a crash happened between the rename and the write of the new
    /// block.
    Other,
    /// The block is invalid.
    Broken,
}

/// Checks the first block of a file that has the name of a segment.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Format`] if a build of another version wrote the block, or
/// [`ErrorKind::Corrupted`] if it belongs to another hub.
pub(super) fn begin(bytes: &[u8], path: &Path, hub: Uuid, number: u64) -> Result<Begin> {
    let Some(block) = bytes.get(..START) else {
        return Ok(Begin::Broken);
    };
    let checksum = crc32fast::hash(&block[4..]).to_le_bytes();
    if block[..4] != checksum || block[8..16] != MAGIC {
        return Ok(Begin::Broken);
    }
    if block[16..20] != VERSION.to_le_bytes() {
        return Err(Error::new(
            ErrorKind::Format,
            format!(
                "{} was written by another version of Abide; nothing was changed, open the hub with that version",
                path.display()
            ),
        ));
    }
    if block[24..40] != *hub.as_bytes() {
        return Err(Error::new(
            ErrorKind::Corrupted,
            format!("{} belongs to another hub; restore the log of this hub", path.display()),
        ));
    }
    Ok(if block[40..48] == number.to_le_bytes() {
        Begin::Here
    } else {
        Begin::Other
    })
}
