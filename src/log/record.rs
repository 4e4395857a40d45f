//! The record of a commit in the log: a header, the changes, and zeros up to the next multiple of eight.
//!
//! ```text
//!  0  checksum   CRC-32 of all bytes after it, up to the end of the changes
//!  4  length     number of bytes of the changes
//!  8  commit     number of the commit
//! 16  durable    the newest commit that was durable when this record was written
//! 24  segment    the segment of the record, so records from an earlier use of the file are never taken for new ones
//! 32  previous   the checksum of the previous record, in whichever segment it is
//! 36  zeros
//! 40  the changes
//! ```
//!
//! All numbers are little-endian.

/// Alignment of records, in bytes.
pub(super) const ALIGN: usize = 8;

/// Size of the header, in bytes.
pub(super) const HEADER: usize = 40;

/// The fields of a record other than its changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) commit: u64,
    pub(super) durable: u64,
    pub(super) segment: u64,
    pub(super) previous: u32,
}

/// A record that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) header: Header,
    pub(super) checksum: u32,
    pub(super) changes: &'a [u8],
}

impl Record<'_> {
    /// Returns the number of bytes that the record occupies in its segment.
    pub(super) fn size(&self) -> usize {
        size(self.changes.len())
    }
}

/// Returns the number of bytes that a record with `changes` bytes of changes occupies.
pub(super) fn size(changes: usize) -> usize {
    (HEADER + changes).next_multiple_of(ALIGN)
}

/// Appends a record whose header contains only the commit and the length. [`seal`] completes the header.
pub(super) fn append(bytes: &mut Vec<u8>, commit: u64, changes: &[u8]) {
    let length = u32::try_from(changes.len()).expect("the limits of a commit keep it far below 4 GiB");
    let start = bytes.len();
    let mut header = [0; HEADER];
    header[4..8].copy_from_slice(&length.to_le_bytes());
    header[8..16].copy_from_slice(&commit.to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(changes);
    bytes.resize(start + size(changes.len()), 0);
}

/// Returns the commit and the size of the record at the beginning of `bytes`, which [`append`] wrote.
pub(super) fn appended(bytes: &[u8]) -> (u64, usize) {
    (number(bytes, 8), size(length(bytes)))
}

/// Completes the record at the beginning of `bytes` and returns its checksum.
pub(super) fn seal(bytes: &mut [u8], durable: u64, segment: u64, previous: u32) -> u32 {
    bytes[16..24].copy_from_slice(&durable.to_le_bytes());
    bytes[24..32].copy_from_slice(&segment.to_le_bytes());
    bytes[32..36].copy_from_slice(&previous.to_le_bytes());
    let end = HEADER + length(bytes);
    let checksum = crc32fast::hash(&bytes[4..end]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// Returns the record of this segment at the beginning of `bytes`, if it is complete and valid.
pub(super) fn read(bytes: &[u8], segment: u64) -> Option<Record<'_>> {
    let end = HEADER.checked_add(length(bytes.get(..HEADER)?))?;
    // Checked first, so non-records cost no checksum. No record has commit number 0, so zeros are not a record.
    if number(bytes, 24) != segment || number(bytes, 8) == 0 || small(bytes, 36) != 0 {
        return None;
    }
    let changes = bytes.get(HEADER..end)?;
    let checksum = small(bytes, 0);
    (checksum == crc32fast::hash(&bytes[4..end])).then(|| Record {
        header: Header {
            commit: number(bytes, 8),
            durable: number(bytes, 16),
            segment: number(bytes, 24),
            previous: small(bytes, 32),
        },
        checksum,
        changes,
    })
}

fn length(bytes: &[u8]) -> usize {
    small(bytes, 4) as usize
}

fn small(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(changes: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, 7, changes);
        seal(&mut bytes, 5, 3, 0x0a0b_0c0d);
        bytes
    }

    /// The stored format must not change by accident.
    #[test]
    fn a_record_has_these_bytes() {
        let expected = [
            &[0x77, 0x7a, 0x4f, 0x4a][..],
            &[5, 0, 0, 0],
            &[7, 0, 0, 0, 0, 0, 0, 0],
            &[5, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[0x0d, 0x0c, 0x0b, 0x0a],
            &[0, 0, 0, 0],
            b"hello\0\0\0",
        ];
        assert_eq!(sealed(b"hello")[4..], expected.concat()[4..]);
        let record = sealed(b"hello");
        let read = read(&record, 3).expect("the record is valid");
        assert_eq!(read.changes, b"hello");
        assert_eq!(read.size(), record.len());
        assert_eq!((read.header.commit, read.header.previous), (7, 0x0a0b_0c0d));
    }

    /// A change of any bit of a record is detected, except in the zeros after it.
    #[test]
    fn a_changed_record_is_none() {
        let whole = sealed(b"hello");
        for bit in 0..(HEADER + 5) * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&changed, 3), None, "bit {bit}");
        }
        for length in 0..HEADER + 5 {
            assert_eq!(read(&whole[..length], 3), None, "{length} bytes");
        }
        assert_eq!(read(&[0; 64], 0), None);
    }
}
