//! Reads the edits of a MANIFEST, which is a file in RocksDB's log format. Each record is an edit.
//!
//! A file is a sequence of 32 KiB blocks, and a block is a sequence of fragments. A fragment consists of a CRC (4
//! bytes), a length (2), a type (1) and a payload, which is a record or a part of one. In a recycled log, the low half
//! of the log's number (4) precedes the payload. All numbers are little-endian.
//!
//! The CRC is not checked here. RocksDB checks it and stops at the first mismatch.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

const BLOCK: usize = 32 << 10;
const HEADER: usize = 7;
const RECYCLABLE_HEADER: usize = 11;

/// The position of a fragment in its record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Full,
    First,
    Middle,
    Last,
    /// A fragment with metadata of the log.
    Other,
}

/// A reader of the edits in a file.
pub(super) struct Edits {
    path: PathBuf,
    file: File,
    /// Identifies this log in the fragments of a recycled file. Other fragments remain from earlier uses of the file.
    number: u32,
    block: Vec<u8>,
    /// Number of bytes of the block that were read.
    at: usize,
    /// Offset of the block in the file.
    start: u64,
    zeros: Option<u64>,
}

impl Edits {
    pub(super) fn open(path: &Path, number: u64) -> Result<Self> {
        let file = File::open(path).map_err(|error| read_error(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            // The format stores only the low half.
            number: (number & u64::from(u32::MAX)) as u32,
            block: Vec::with_capacity(BLOCK),
            at: 0,
            start: 0,
            zeros: None,
        })
    }

    /// Moves past the next edit. Returns `false` where RocksDB's reader would also stop.
    pub(super) fn next(&mut self) -> Result<bool> {
        let mut inside = false;
        loop {
            if self.block.len() - self.at < HEADER && !self.next_block()? {
                return Ok(false);
            }
            let rest = &self.block[self.at..];
            if rest[4..HEADER] == [0, 0, 0] {
                if inside {
                    return Ok(false);
                }
                self.zeros.get_or_insert(self.start + self.at as u64);
                self.at = self.block.len();
                continue;
            }
            let Some((part, header, length)) = fragment(rest, self.number) else {
                return Ok(false);
            };
            match part {
                Part::Other => {}
                Part::Full | Part::First if inside => return Ok(false),
                Part::Middle | Part::Last if !inside => return Ok(false),
                Part::Full | Part::First | Part::Middle | Part::Last => {}
            }
            self.at += header + length;
            match part {
                Part::Full | Part::Last => return Ok(true),
                Part::First | Part::Middle => inside = true,
                Part::Other => {}
            }
        }
    }

    /// Returns the offset after the last edit that was read. If no edit remains, it is the offset where the next would
    /// begin.
    pub(super) fn end(&self) -> u64 {
        self.start + self.at as u64
    }

    /// Returns `true` if a fragment of a recycled log follows the records.
    pub(super) fn is_recycled(&self) -> bool {
        let kind = self.block[self.at..].get(HEADER - 1);
        kind.is_some_and(|kind| matches!(kind, 5..=8 | 11 | 131))
    }

    /// Returns the offset of the first zeros that were skipped so far.
    pub(super) fn zeros(&self) -> Option<u64> {
        self.zeros
    }

    /// Reads the next block. Returns `false` at the end of the file.
    fn next_block(&mut self) -> Result<bool> {
        self.start += self.block.len() as u64;
        self.at = 0;
        self.block.clear();
        let read = (&self.file).take(BLOCK as u64).read_to_end(&mut self.block);
        read.map_err(|error| read_error(&self.path, error))?;
        Ok(self.block.len() >= HEADER)
    }
}

/// Returns the fragment at the beginning of `bytes`, if RocksDB would read it as a fragment of the log with this
/// number.
fn fragment(bytes: &[u8], log: u32) -> Option<(Part, usize, usize)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An edit that is longer than a block is read as one. An edit without its beginning or its end is the end.
    #[test]
    fn long_edits_are_read_whole() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("MANIFEST-000005");
        for (header, first_kind) in [(HEADER, 1), (RECYCLABLE_HEADER, 5)] {
            let [full, first, middle, last] = [0, 1, 2, 3].map(|part| first_kind + part);
            for (parts, edits) in [
                (vec![full, first, middle, last, full], 3),
                (vec![full, first, middle], 1),
                (vec![first, full], 0),
                (vec![last, full], 0),
            ] {
                let block = |part: u8| {
                    let length = (BLOCK - header) as u16;
                    let mut bytes = [&[0; 4][..], &length.to_le_bytes(), &[part], &5_u32.to_le_bytes()].concat();
                    bytes.resize(BLOCK, 0);
                    bytes
                };
                std::fs::write(&path, parts.iter().flat_map(|part| block(*part)).collect::<Vec<_>>()).unwrap();
                let mut read = Edits::open(&path, 5).unwrap();
                let found = std::iter::from_fn(|| read.next().unwrap().then_some(())).count();
                assert_eq!(found, edits, "{parts:?}");
            }
        }
    }

    /// A file that cannot be read is an error and not an end.
    #[test]
    fn an_unreadable_file_is_an_error() {
        // A directory can be opened, but not read.
        let place = tempfile::tempdir().unwrap();
        let error = Edits::open(place.path(), 5).unwrap().next().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(error.to_string().contains(place.path().to_str().unwrap()), "{error}");
    }
}
