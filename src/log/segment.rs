//! A file of the log: a block that says which segment it is, and room for records that was written before, so that a sync changes
//! no metadata.

use std::path::Path;

use uuid::Uuid;

use super::disk::Disk;
use crate::error::{Error, ErrorKind, Result};

/// Where the records begin.
pub(super) const START: usize = 4096;

const MAGIC: [u8; 8] = *b"abidelog";
const VERSION: u32 = 1;

/// How many zeros are written at once.
const ZEROS: usize = 1 << 20;

/// A segment that is open for writing.
#[derive(Debug)]
pub(super) struct Segment<F> {
    pub(super) number: u64,
    file: F,
    /// How many bytes it may hold, its first block among them.
    pub(super) bytes: usize,
}

impl<F> Segment<F> {
    /// Makes a segment of at least so many bytes, all of which are durable when it returns. A file that a former life has left
    /// half-made is made again.
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

    /// Makes a segment of the file of another one, which nobody reads any more.
    pub(super) fn recycle(self, disk: &impl Disk<File = F>, hub: Uuid, number: u64) -> Result<Self> {
        disk.rename(self.number, number)?;
        let segment = Self { number, ..self };
        segment.begin(disk, hub)?;
        Ok(segment)
    }

    /// Opens a segment that is there.
    pub(super) fn open(disk: &impl Disk<File = F>, number: u64) -> Result<Self> {
        let file = disk.open(number)?;
        let bytes = disk.length(number, &file)?;
        Ok(Self { number, file, bytes })
    }

    /// Removes the file. A crash may bring it back; what it holds was given up before.
    pub(super) fn remove(self, disk: &impl Disk<File = F>) -> Result<()> {
        disk.remove(self.number)
    }

    pub(super) fn write(&self, disk: &impl Disk<File = F>, bytes: &[u8], at: usize) -> Result<()> {
        disk.write(self.number, &self.file, bytes, at)
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self, disk: &impl Disk<File = F>) -> Result<()> {
        disk.sync(self.number, &self.file)
    }

    /// Writes the first block, and makes durable that the segment is there.
    fn begin(&self, disk: &impl Disk<File = F>, hub: Uuid) -> Result<()> {
        let mut block = [0; START];
        block[8..16].copy_from_slice(&MAGIC);
        block[16..20].copy_from_slice(&VERSION.to_le_bytes());
        block[24..40].copy_from_slice(hub.as_bytes());
        block[40..48].copy_from_slice(&self.number.to_le_bytes());
        let checksum = crc32fast::hash(&block[4..]);
        block[..4].copy_from_slice(&checksum.to_le_bytes());
        self.write(disk, &block, 0)?;
        self.sync(disk)?;
        disk.sync_names()
    }
}

/// What the first block of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// It is this segment of this hub.
    Here,
    /// It is whole, and that of another segment: a crash came between the new name and the new block.
    Other,
    /// It is not whole.
    Broken,
}

/// Looks at the first block of a file that has the name of a segment.
///
/// # Errors
/// [`ErrorKind::Format`] if a build of another version wrote it, and [`ErrorKind::Corrupted`] if it is of another hub.
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
                "{} was written by another version of Abide; nothing was changed, open the hub with that one",
                path.display()
            ),
        ));
    }
    if block[24..40] != *hub.as_bytes() {
        return Err(Error::new(
            ErrorKind::Corrupted,
            format!(
                "{} is a part of another hub; put the log of this hub back",
                path.display()
            ),
        ));
    }
    Ok(if block[40..48] == number.to_le_bytes() {
        Begin::Here
    } else {
        Begin::Other
    })
}
