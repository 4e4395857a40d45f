//! The changes of one commit, encoded as the log stores them.
//!
//! A change is encoded as one byte for its kind, the length of the key, the length of the value, the key and the value.
//! Lengths are LEB128. A deletion has neither value nor value length. The encoding is part of the stored format.

const DELETE: u8 = 1;
const PUT: u8 = 2;
const INSERT: u8 = 3;

/// The changes of one commit, in order, in one contiguous buffer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    len: usize,
}

/// One change of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    Put {
        key: &'a [u8],
        value: &'a [u8],
    },
    /// Like `Put`, for a key that is not in the store. If the key is deleted before it reaches the base, neither change
    /// is written there.
    Insert {
        key: &'a [u8],
        value: &'a [u8],
    },
    Delete {
        key: &'a [u8],
    },
}

impl<'a> Change<'a> {
    /// Returns the key and its value after the change, or `None` as the value if the key is deleted.
    #[cfg(any(feature = "rocksdb", test))]
    pub(crate) fn parts(self) -> (&'a [u8], Option<&'a [u8]>) {
        match self {
            Self::Put { key, value } | Self::Insert { key, value } => (key, Some(value)),
            Self::Delete { key } => (key, None),
        }
    }

    fn decode(bytes: &mut &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        *bytes = rest;
        let key = length(bytes)?;
        let value = if *kind == DELETE { 0 } else { length(bytes)? };
        let key = bytes.split_off(..key)?;
        let value = bytes.split_off(..value)?;
        match *kind {
            DELETE => Some(Self::Delete { key }),
            PUT => Some(Self::Put { key, value }),
            INSERT => Some(Self::Insert { key, value }),
            _ => None,
        }
    }
}

impl Batch {
    /// Sets `key` to `value`.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.append(PUT, key, Some(value));
    }

    /// Sets `key`, which is not in the store, to `value`.
    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8]) {
        self.append(INSERT, key, Some(value));
    }

    /// Removes `key`, whether it exists or not.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.append(DELETE, key, None);
    }

    /// Returns the changes in the order in which they were made.
    pub(crate) fn changes(&self) -> Changes<'_> {
        Changes::of(&self.bytes)
    }

    /// Returns the encoded changes, as they are stored.
    #[cfg(any(feature = "rocksdb", feature = "testing", test))]
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    /// Removes all changes and keeps the allocated memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.len = 0;
    }

    /// Releases memory beyond `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
    }

    /// Returns the number of changes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the encoded size of all changes in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn append(&mut self, kind: u8, key: &[u8], value: Option<&[u8]>) {
        self.bytes.push(kind);
        put_length(&mut self.bytes, key.len());
        if let Some(value) = value {
            put_length(&mut self.bytes, value.len());
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.len += 1;
    }
}

/// An iterator over the changes of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Changes<'a> {
    rest: &'a [u8],
}

impl<'a> Changes<'a> {
    /// Returns an iterator over the changes stored in `bytes`.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns `true` if no bytes follow the last change. If bytes remain when the iterator is exhausted, they are not
    /// valid changes.
    #[cfg(any(feature = "rocksdb", feature = "fuzzing"))]
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Change<'a>;

    fn next(&mut self) -> Option<Change<'a>> {
        let mut rest = self.rest;
        let change = Change::decode(&mut rest)?;
        self.rest = rest;
        Some(change)
    }
}

fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

fn length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    for place in 0..5 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The encoding is part of the stored format and must not change by accident.
    #[test]
    fn changes_have_these_bytes() {
        let mut batch = Batch::default();
        batch.put(b"key", b"value");
        batch.delete(b"k");
        batch.insert(b"new", &[7; 300]);
        let expected = [&b"\x02\x03\x05keyvalue\x01\x01k\x03\x03\xac\x02new"[..], &[7; 300]].concat();
        assert_eq!(batch.encoded(), expected);
        let mut changes = batch.changes();
        assert_eq!(
            changes.next(),
            Some(Change::Put {
                key: b"key",
                value: b"value"
            })
        );
        assert_eq!(changes.next(), Some(Change::Delete { key: b"k" }));
        assert_eq!(
            changes.next(),
            Some(Change::Insert {
                key: b"new",
                value: &[7; 300]
            })
        );
        assert_eq!(changes.next(), None);
        assert!(changes.rest.is_empty());
        assert_eq!((batch.len(), batch.bytes()), (3, expected.len()));
    }

    /// Truncated or foreign bytes never decode to a change that was not written.
    #[test]
    fn invalid_bytes_end_the_changes() {
        let mut batch = Batch::default();
        batch.put(b"key", b"value");
        for cut in 0..batch.bytes() {
            let mut changes = Changes::of(&batch.encoded()[..cut]);
            assert_eq!(changes.next(), None, "{cut} bytes");
            assert_eq!(changes.rest.len(), cut);
        }
        assert_eq!(Changes::of(&[9, 1, 1, 1, 1]).next(), None);
        assert_eq!(Changes::of(&[PUT, 0xff, 0xff, 0xff, 0xff, 0xff, 0]).next(), None);
    }
}
