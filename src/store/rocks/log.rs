//! Reads the batches of one of RocksDB's logs.
//!
//! A log is a row of blocks of 32 KiB, and a block is a row of records: CRC (4 bytes), length (2), type (1), in a
//! recycled log the low half of the log's number (4), and the payload, which is one batch or a fragment of one. A batch
//! begins with its first sequence number (8) and the number of its changes (4). All numbers are little-endian.
//!
//! The CRC is not checked: RocksDB does that, and stops at the first that is wrong.

use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;
const RECYCLABLE_HEADER: usize = 11;
const BATCH_HEADER: usize = 12;

/// Where a record stands in its batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Full,
    First,
    Middle,
    Last,
    /// It speaks of the log itself.
    Other,
}

/// A log that is read from its beginning.
pub(super) struct Log {
    path: PathBuf,
    file: File,
    /// Names this log in the records of a recycled one; others are left from the file's earlier life.
    number: u32,
    block: Vec<u8>,
    /// How much of the block was read.
    at: usize,
    /// Where the block begins in the file.
    start: u64,
    payload: Vec<u8>,
    /// Whether zeros were skipped on the way to here.
    skipped: bool,
}

/// A batch of the log, until the next is read.
pub(super) struct LogBatch<'a>(&'a mut Log);

impl Log {
    pub(super) fn open(path: &Path, number: u64) -> Result<Self> {
        let file = File::open(path).map_err(|error| read_error(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            // The format keeps the low half only.
            number: (number & u64::from(u32::MAX)) as u32,
            block: Vec::with_capacity(BLOCK),
            at: 0,
            start: 0,
            payload: Vec::new(),
            skipped: false,
        })
    }

    /// The next batch, or `None` where RocksDB's reader stops too.
    pub(super) fn next_batch(&mut self) -> Result<Option<LogBatch<'_>>> {
        self.payload.clear();
        let mut inside = false;
        loop {
            if self.block.len() - self.at < HEADER && !self.next_block()? {
                return Ok(None);
            }
            let rest = &self.block[self.at..];
            if rest[4..HEADER] == [0, 0, 0] {
                if inside {
                    return Ok(None);
                }
                self.at = self.block.len();
                self.skipped = true;
                continue;
            }
            let Some((part, header, length)) = record(rest, self.number) else {
                return Ok(None);
            };
            let payload = &rest[header..header + length];
            match part {
                Part::Other => {}
                Part::Full | Part::First if inside => return Ok(None),
                Part::Middle | Part::Last if !inside => return Ok(None),
                _ => self.payload.extend_from_slice(payload),
            }
            self.at += header + length;
            match part {
                Part::Full | Part::Last => break,
                Part::First | Part::Middle => inside = true,
                Part::Other => {}
            }
        }
        Ok((self.payload.len() >= BATCH_HEADER).then_some(LogBatch(self)))
    }

    /// Reads the next block; false at the end of the file.
    fn next_block(&mut self) -> Result<bool> {
        self.start += self.block.len() as u64;
        self.at = 0;
        self.block.resize(BLOCK, 0);
        let mut filled = 0;
        while filled < BLOCK {
            match self.file.read(&mut self.block[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == IoErrorKind::Interrupted => {}
                Err(error) => return Err(read_error(&self.path, error)),
            }
        }
        self.block.truncate(filled);
        Ok(filled >= HEADER)
    }
}

impl LogBatch<'_> {
    /// The first sequence number and how many there are.
    pub(super) fn sequence(&self) -> (u64, u32) {
        let (mut sequence, mut count) = ([0; 8], [0; 4]);
        sequence.copy_from_slice(&self.0.payload[..8]);
        count.copy_from_slice(&self.0.payload[8..BATCH_HEADER]);
        (u64::from_le_bytes(sequence), u32::from_le_bytes(count))
    }

    /// Whether nothing is missing between the log's beginning and here, as far as a reader of one log can tell.
    pub(super) fn is_at_start(&self) -> bool {
        !self.0.skipped
    }

    /// Where the batch ends in the file.
    pub(super) fn end(&self) -> u64 {
        self.0.start + self.0.at as u64
    }

    /// Takes the batch's bytes without copying them.
    pub(super) fn swap_payload(self, into: &mut Vec<u8>) {
        std::mem::swap(&mut self.0.payload, into);
    }
}

/// The record at the beginning of `bytes`, if RocksDB would read it as one of the log with this number.
fn record(bytes: &[u8], log: u32) -> Option<(Part, usize, usize)> {
    let length = usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
    let (part, header) = match bytes[6] {
        1 => (Part::Full, HEADER),
        2 => (Part::First, HEADER),
        3 => (Part::Middle, HEADER),
        4 => (Part::Last, HEADER),
        5 => (Part::Full, RECYCLABLE_HEADER),
        6 => (Part::First, RECYCLABLE_HEADER),
        7 => (Part::Middle, RECYCLABLE_HEADER),
        8 => (Part::Last, RECYCLABLE_HEADER),
        9 | 10 | 130 => (Part::Other, HEADER),
        11 | 131 => (Part::Other, RECYCLABLE_HEADER),
        _ => return None,
    };
    if bytes.len() < header + length {
        return None;
    }
    if header == RECYCLABLE_HEADER && bytes[HEADER..RECYCLABLE_HEADER] != log.to_le_bytes() {
        return None;
    }
    Some((part, header, length))
}

fn read_error(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot read {}: {error}", path.display())).with_source(error)
}
