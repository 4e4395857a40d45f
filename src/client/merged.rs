//! Rows of several ranges in one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::error::Result;
use crate::store::{Reader, Row};

/// A row with its place in the order: the place, the key and the value.
pub(super) type PlacedRow<P> = (P, Vec<u8>, Vec<u8>);

/// The rows of several ranges, each of which is in order of `P`, in one order. Rows are read in chunks, as many as are
/// needed.
pub(super) struct Merged<'a, P> {
    reader: &'a dyn Reader,
    chunk: usize,
    /// The place of a row, from its key.
    place: fn(&[u8]) -> Option<P>,
    streams: Vec<Stream>,
    /// The next place of each stream that has one.
    heads: BinaryHeap<Reverse<(P, usize)>>,
}

/// How many bytes a range should hold of rows that were read ahead. Where rows are large, fewer are read at once.
const BYTES_AHEAD: usize = 64 << 10;

/// The rows of one range.
struct Stream {
    rest: Range<Vec<u8>>,
    /// How many rows to read next.
    chunk: usize,
    /// Rows that were read, the next one last.
    rows: Vec<Row>,
    ended: bool,
}

impl<'a, P: Ord> Merged<'a, P> {
    /// Reads up to `chunk` rows of a range at once, and `first` the first time: one, if the rows may be large.
    pub(super) fn open(
        reader: &'a dyn Reader,
        ranges: impl Iterator<Item = Range<Vec<u8>>>,
        first: usize,
        chunk: usize,
        place: fn(&[u8]) -> Option<P>,
    ) -> Result<Self> {
        let streams = ranges.map(|rest| Stream {
            ended: rest.start >= rest.end,
            rest,
            chunk: first,
            rows: Vec::new(),
        });
        let mut merged = Self {
            reader,
            chunk,
            place,
            streams: streams.collect(),
            heads: BinaryHeap::new(),
        };
        for index in 0..merged.streams.len() {
            merged.advance(index)?;
        }
        Ok(merged)
    }

    /// The next row: its place, its key and its value.
    pub(super) fn next(&mut self) -> Result<Option<PlacedRow<P>>> {
        let Some(Reverse((place, index))) = self.heads.pop() else {
            return Ok(None);
        };
        let row = self.streams[index].rows.pop();
        self.advance(index)?;
        Ok(row.map(|(key, value)| (place, key, value)))
    }

    /// Puts the next place of a stream among the heads, reading on if need be.
    fn advance(&mut self, index: usize) -> Result<()> {
        let stream = &mut self.streams[index];
        while stream.rows.is_empty() && !stream.ended {
            let rows = self.reader.scan(stream.rest.clone(), stream.chunk)?;
            stream.ended = rows.len() < stream.chunk;
            let bytes: usize = rows.iter().map(|(key, value)| key.len() + value.len()).sum();
            stream.chunk = (BYTES_AHEAD * rows.len() / bytes.max(1)).clamp(1, self.chunk);
            if let Some((last, _)) = rows.last() {
                stream.rest.start = behind(last.clone());
            }
            // A key that no build has written has no place.
            stream.rows = rows
                .into_iter()
                .rev()
                .filter(|(key, _)| (self.place)(key).is_some())
                .collect();
        }
        if let Some(place) = stream.rows.last().and_then(|(key, _)| (self.place)(key)) {
            self.heads.push(Reverse((place, index)));
        }
        Ok(())
    }
}

/// The first key behind `key`.
pub(super) fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
