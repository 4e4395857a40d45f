//! The changes of one commit.

use std::ops::Range;

/// The changes of one commit, in order, in one piece of memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    changes: Vec<Span>,
}

/// One change: where its key and its value lie.
#[derive(Clone, Debug)]
struct Span {
    key: Range<usize>,
    /// `None` deletes the key.
    value: Option<Range<usize>>,
}

/// One change of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    Delete { key: &'a [u8] },
}

impl Batch {
    /// Sets `key` to `value`.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        let key = self.append(key);
        let value = Some(self.append(value));
        self.changes.push(Span { key, value });
    }

    /// Removes `key`, whether it is there or not.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        let key = self.append(key);
        self.changes.push(Span { key, value: None });
    }

    /// The changes in the order in which they were made.
    pub(crate) fn changes(&self) -> impl ExactSizeIterator<Item = Change<'_>> {
        self.changes.iter().map(|span| {
            let key = &self.bytes[span.key.clone()];
            match &span.value {
                Some(value) => Change::Put {
                    key,
                    value: &self.bytes[value.clone()],
                },
                None => Change::Delete { key },
            }
        })
    }

    /// Forgets all changes and keeps the memory for others.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.changes.clear();
    }

    /// Gives back memory over `bytes` for keys and values.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        self.bytes.shrink_to(bytes);
        self.changes.shrink_to(bytes / size_of::<Span>());
    }

    /// How many changes there are.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The bytes of all keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn append(&mut self, part: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        start..self.bytes.len()
    }
}
