//! The body of a record of a shared log: commits one after the other, compressed with LZ4.
//!
//! ```text
//! each commit:   8 number   4 length of its changes   the changes
//! ```
//!
//! All numbers are little-endian.

use crate::error::{Error, ErrorKind, Result};

/// Size of the number and of the length, in bytes.
const HEADER: usize = 12;

/// Largest size of a decompressed body, in bytes. A commit has at most the limits of a batch.
const MOST_BYTES: usize = 1 << 30;

/// Commits that wait for an append.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    bytes: Vec<u8>,
    first: u64,
    last: u64,
}

impl Commits {
    pub(crate) fn push(&mut self, commit: u64, changes: &[u8]) {
        let length = u32::try_from(changes.len()).expect("the limits of a commit keep it far below 4 GiB");
        if self.bytes.is_empty() {
            self.first = commit;
        }
        self.last = commit;
        self.bytes.extend_from_slice(&commit.to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(changes);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the numbers of the first and the last commit.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    pub(crate) fn compress(&self) -> Vec<u8> {
        lz4_flex::compress_prepend_size(&self.bytes)
    }
}

/// Passes each commit of a compressed body to `apply`.
pub(crate) fn decompress(body: &[u8], apply: &mut dyn FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    let size = body.first_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    if size > MOST_BYTES {
        return Err(invalid());
    }
    let bytes = lz4_flex::decompress_size_prepended(body).map_err(|_| invalid())?;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let (header, after) = rest.split_at_checked(HEADER).ok_or_else(invalid)?;
        let commit = u64::from_le_bytes(header[..8].try_into().expect("eight bytes"));
        let length = u32::from_le_bytes(header[8..].try_into().expect("four bytes")) as usize;
        let (changes, after) = after.split_at_checked(length).ok_or_else(invalid)?;
        apply(commit, changes)?;
        rest = after;
    }
    Ok(())
}

fn invalid() -> Error {
    Error::new(ErrorKind::Corrupted, "a record of the log in the database is invalid")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commits(bodies: &[&[u8]]) -> Commits {
        let mut commits = Commits::default();
        for (number, changes) in (7..).zip(bodies) {
            commits.push(number, changes);
        }
        commits
    }

    #[test]
    fn commits_return_as_they_were_written() {
        let written = commits(&[b"one", b"", &[3; 5_000]]);
        assert_eq!(written.range(), (7, 9));
        let mut read = Vec::new();
        let all = decompress(&written.compress(), &mut |commit, changes| {
            read.push((commit, changes.to_vec()));
            Ok(())
        });
        all.unwrap();
        assert_eq!(read, [(7, b"one".to_vec()), (8, Vec::new()), (9, vec![3; 5_000])]);
    }

    #[test]
    fn a_cut_body_is_an_error() {
        let whole = commits(&[b"one", b"two"]).compress();
        for length in 0..whole.len() {
            let read = decompress(&whole[..length], &mut |_, _| Ok(()));
            assert!(read.is_err(), "{length} bytes");
        }
        let mut huge = whole.clone();
        huge[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decompress(&huge, &mut |_, _| Ok(())).is_err());
    }
}
