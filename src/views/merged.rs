//! A merge of the rows of several ranges into one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::error::Result;
use crate::schema;
use crate::store::{PageBounds, Reader};

/// A row with its place in the order: the place, the key and the value.
pub(crate) type PlacedRow<P> = (P, Vec<u8>, Vec<u8>);

/// A merge of several ranges, each in order of `P`, into one order. Rows are read in chunks, on demand. The bytes held
/// for all ranges together are bounded, however many ranges there are and however large the rows.
pub(crate) struct Merged<'a, P> {
    reader: &'a dyn Reader,
    /// Number of rows of a range read at once.
    chunk: usize,
    /// Returns the place of a row with this key.
    place: fn(&[u8]) -> Option<P>,
    streams: Vec<Stream>,
    /// Number of streams that have rows left, or may have.
    open: usize,
    /// The next place of each stream that has one.
    heads: BinaryHeap<Reverse<(P, usize)>>,
}

/// Approximate number of bytes of prefetched rows held for all ranges together. At least the key of one row is held per
/// range.
const BYTES_AHEAD: usize = 4 << 20;

/// Maximum number of these bytes held for one range. More would not be worth its memory.
const LARGEST_SHARE: usize = 64 << 10;

/// The rows of one range.
struct Stream {
    rest: Range<Vec<u8>>,
    /// The rows that were read, next one last. A large value is not kept, but read again when its turn comes.
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    ended: bool,
}

impl<'a, P: Ord> Merged<'a, P> {
    /// Opens the ranges. Up to `chunk` rows of a range are read at once.
    pub(crate) fn open(
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
            place,
            open: streams.len(),
            streams,
            heads: BinaryHeap::new(),
        };
        for index in 0..merged.streams.len() {
            merged.advance(index)?;
        }
        Ok(merged)
    }

    /// Returns the next row: its place, key and value.
    pub(crate) fn next(&mut self) -> Result<Option<PlacedRow<P>>> {
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

    /// Maximum number of bytes read at once and held for one range. It grows as ranges end and never shrinks, so no
    /// range holds more than this value.
    fn share(&self) -> usize {
        (BYTES_AHEAD / self.open.max(1)).min(LARGEST_SHARE)
    }

    /// Adds the next place of a stream to the heads, and reads more rows if necessary.
    fn advance(&mut self, index: usize) -> Result<()> {
        let bounds = PageBounds {
            rows: self.chunk,
            bytes: self.share(),
        };
        let stream = &mut self.streams[index];
        while stream.rows.is_empty() && !stream.ended {
            stream.read(self.reader, bounds, |key| (self.place)(key).is_some())?;
        }
        match stream.rows.last().and_then(|(key, _)| (self.place)(key)) {
            Some(place) => self.heads.push(Reverse((place, index))),
            None => self.open -= 1,
        }
        Ok(())
    }
}

impl Stream {
    /// Reads the next rows and keeps those that have a place. A key that no build has written has none.
    fn read(&mut self, reader: &dyn Reader, bounds: PageBounds, has_place: impl Fn(&[u8]) -> bool) -> Result<()> {
        let page = reader.page(self.rest.clone(), bounds)?;
        self.ended = !page.full;
        if let Some((last, _)) = page.rows.last() {
            self.rest.start = schema::behind(last.clone());
        }
        let placed = page.rows.into_iter().rev().filter(|(key, _)| has_place(key));
        self.rows = placed
            .map(|(key, value)| (key, Some(value).filter(|value| value.len() <= bounds.bytes)))
            .collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, Model, Store};

    /// Returns the size of the prefetched rows in bytes.
    fn held<P>(merged: &Merged<'_, P>) -> usize {
        let rows = merged.streams.iter().flat_map(|stream| &stream.rows);
        rows.map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
            .sum()
    }

    /// Even the maximum number of ranges of a hub, for all partitions and statuses, holds a bounded number of bytes.
    /// This is independent of the size of the rows, and all rows are returned in order.
    #[test]
    fn many_ranges_hold_no_more_than_a_few() {
        const RANGES: u16 = 4_096 * 8;
        const ROWS: u8 = 2;
        for bytes in [100, 3_000] {
            let store = Model::new();
            let mut batch = Batch::default();
            for range in 0..RANGES {
                for n in 0..ROWS {
                    batch.put(&[range.to_be_bytes().as_slice(), &[n]].concat(), &vec![n; bytes]);
                }
            }
            store.write(&batch).unwrap();
            let ranges = (0..RANGES).map(|range| range.to_be_bytes().to_vec()..(range + 1).to_be_bytes().to_vec());
            let place = |key: &[u8]| Some((*key.last()?, key.to_vec()));
            let mut merged = Merged::open(&store, ranges, 8, place).unwrap();
            let mut before = None;
            for number in 0..u32::from(RANGES) * u32::from(ROWS) {
                if number % 1_000 == 0 {
                    let held = held(&merged);
                    assert!(held <= 2 * BYTES_AHEAD, "{held} bytes are held after {number} rows");
                }
                let (place, key, value) = merged.next().unwrap().unwrap();
                assert_eq!((key.last(), value.len()), (Some(&place.0), bytes));
                assert!(before < Some(place.clone()), "{place:?} comes late");
                before = Some(place);
            }
            assert!(merged.next().unwrap().is_none());
            assert_eq!(merged.open, 0);
        }
    }

    /// Rows of any size are returned completely and in order, and no large prefetched row is held.
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
            let held = held(&merged);
            assert!(held < 4 * (LARGEST_SHARE + 200), "{held} bytes are held");
            let (place, key, read) = merged.next().unwrap().unwrap();
            assert_eq!((place, key, read == value(n)), (n, vec![n % 4, n], true));
        }
        assert!(merged.next().unwrap().is_none());
    }
}
