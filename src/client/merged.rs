//! Rows of several ranges in one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::{Range, RangeInclusive};

use crate::error::Result;
use crate::store::{PageBounds, Reader, keys};

/// A row with its place in the order: the place, the key and the value.
pub(super) type PlacedRow<P> = (P, Vec<u8>, Vec<u8>);

/// The rows of several ranges, each of which is in order of `P`, in one order. Rows are read in chunks, as many as are
/// needed, and what is held of them is bounded in bytes, however large they are.
pub(super) struct Merged<'a, P> {
    reader: &'a dyn Reader,
    /// How many rows of a range are read at once.
    chunk: usize,
    /// How many bytes of a range are read at once. A larger value is not held until its turn comes.
    bytes: usize,
    /// The place of a row, from its key.
    place: fn(&[u8]) -> Option<P>,
    streams: Vec<Stream>,
    /// The next place of each stream that has one.
    heads: BinaryHeap<Reverse<(P, usize)>>,
}

/// How many bytes all ranges together hold of rows that were read ahead, about.
const BYTES_AHEAD: usize = 4 << 20;

/// Bounds of one range's share: less is not worth a read, more not worth its memory.
const SHARE: RangeInclusive<usize> = 4 << 10..=64 << 10;

/// The rows of one range.
struct Stream {
    rest: Range<Vec<u8>>,
    /// Rows that were read, the next one last. A large value is read again when its turn comes.
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    ended: bool,
}

impl<'a, P: Ord> Merged<'a, P> {
    /// Reads up to `chunk` rows of a range at once.
    pub(super) fn open(
        reader: &'a dyn Reader,
        ranges: impl Iterator<Item = Range<Vec<u8>>>,
        chunk: usize,
        place: fn(&[u8]) -> Option<P>,
    ) -> Result<Self> {
        let streams: Vec<Stream> = ranges
            .map(|rest| Stream {
                ended: rest.start >= rest.end,
                rest,
                rows: Vec::new(),
            })
            .collect();
        let mut merged = Self {
            reader,
            chunk,
            bytes: (BYTES_AHEAD / streams.len().max(1)).clamp(*SHARE.start(), *SHARE.end()),
            place,
            streams,
            heads: BinaryHeap::new(),
        };
        for index in 0..merged.streams.len() {
            merged.advance(index)?;
        }
        Ok(merged)
    }

    /// The next row: its place, its key and its value.
    pub(super) fn next(&mut self) -> Result<Option<PlacedRow<P>>> {
        while let Some(Reverse((place, index))) = self.heads.pop() {
            let row = self.streams[index].rows.pop();
            self.advance(index)?;
            let Some((key, value)) = row else { continue };
            let value = match value {
                Some(value) => Some(value),
                None => self.reader.get(&key)?,
            };
            if let Some(value) = value {
                return Ok(Some((place, key, value)));
            }
        }
        Ok(None)
    }

    /// Puts the next place of a stream among the heads, reading on if need be.
    fn advance(&mut self, index: usize) -> Result<()> {
        let stream = &mut self.streams[index];
        while stream.rows.is_empty() && !stream.ended {
            let bounds = PageBounds {
                rows: self.chunk,
                bytes: self.bytes,
            };
            let page = self.reader.page(stream.rest.clone(), bounds)?;
            stream.ended = !page.full;
            if let Some((last, _)) = page.rows.last() {
                stream.rest.start = keys::behind(last.clone());
            }
            let large = self.bytes;
            // A key that no build has written has no place.
            let placed = page
                .rows
                .into_iter()
                .rev()
                .filter(|(key, _)| (self.place)(key).is_some());
            stream.rows = placed
                .map(|(key, value)| (key, Some(value).filter(|value| value.len() <= large)))
                .collect();
        }
        if let Some(place) = stream.rows.last().and_then(|(key, _)| (self.place)(key)) {
            self.heads.push(Reverse((place, index)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Model, Store};

    /// Rows of any size come whole and in one order, and of all that were read ahead no large one is held.
    #[test]
    fn large_rows_are_not_held() {
        let store = Model::new();
        let mut batch = Batch::default();
        let value = |n: u8| vec![n; if n.is_multiple_of(3) { 200_000 } else { 100 }];
        for n in 0..120 {
            // Four ranges, each in order of the number.
            batch.put(&[n % 4, n], &value(n));
        }
        store.write(&batch).unwrap();
        let ranges = (0..4).map(|range| vec![range]..vec![range + 1]);
        let mut merged = Merged::open(&store, ranges, 50, |key| key.last().copied()).unwrap();
        for n in 0..120 {
            let held = |stream: &Stream| {
                stream
                    .rows
                    .iter()
                    .flat_map(|(_, value)| value)
                    .map(Vec::len)
                    .sum::<usize>()
            };
            let held: usize = merged.streams.iter().map(held).sum();
            assert!(held < 4 * (SHARE.end() + 100), "{held} bytes are held");
            let (place, key, read) = merged.next().unwrap().unwrap();
            assert_eq!((place, key, read == value(n)), (n, vec![n % 4, n], true));
        }
        assert!(merged.next().unwrap().is_none());
    }
}
