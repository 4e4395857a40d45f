//! Some rows of a front, copied.

use std::collections::VecDeque;
use std::ops::{Bound, Range};

use super::shard::Shard;

/// Some rows of one shard, copied, so that nobody waits for whoever looks at them.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    rows: VecDeque<Span>,
    /// Whether the shard may have more rows in the range.
    pub(super) has_more: bool,
}

/// Where the parts of a row lie in a chunk.
struct Span {
    key: Range<usize>,
    /// Nothing where the key was deleted.
    value: Option<Range<usize>>,
}

/// How much of a shard is copied at once.
const CHUNK_BYTES: usize = 64 << 10;

impl Chunk {
    /// Copies the first `limit` rows of a sorted shard from `start` on and before `end`, as of a commit.
    pub(super) fn copy(shard: &Shard, start: Bound<&[u8]>, end: &[u8], commit: u64, limit: usize) -> Self {
        let mut chunk = Self::default();
        for (key, value) in shard.range_as_of(start, commit).take_while(|(key, _)| *key < end) {
            if chunk.rows.len() >= limit || chunk.bytes.len() >= CHUNK_BYTES {
                chunk.has_more = true;
                break;
            }
            chunk.push(key, value);
        }
        chunk
    }

    fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let key = self.append(key);
        let value = value.map(|value| self.append(value));
        self.rows.push_back(Span { key, value });
    }

    fn append(&mut self, part: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(part);
        start..self.bytes.len()
    }

    /// The key of the first row.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.rows.front().map(|row| &self.bytes[row.key.clone()])
    }

    /// The value of the first row.
    pub(super) fn value(&self) -> Option<&[u8]> {
        let value = self.rows.front()?.value.clone()?;
        Some(&self.bytes[value])
    }

    /// How many rows are left.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Goes to the next row.
    pub(super) fn advance(&mut self) {
        self.rows.pop_front();
    }
}
