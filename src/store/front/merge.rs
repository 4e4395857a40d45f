//! An ordered scan over several fronts and the base below them.

use std::ops::{Bound, ControlFlow, Range};

use super::{Chunk, Front, shards_of};
use crate::error::Result;
use crate::store::{Reader, Visitor};

/// Number of rows that a scan copies first, because many scans need only one row. The number doubles with each copy.
const FIRST_ROWS: usize = 4;

/// Maximum number of rows copied at once.
const MOST_ROWS: usize = 128;

/// The rows of one shard of one front, in order.
struct Source<'a> {
    front: &'a Front,
    shard: usize,
    commit: u64,
    chunk: Chunk,
    limit: usize,
}

impl<'a> Source<'a> {
    fn new(front: &'a Front, shard: usize, range: &Range<Vec<u8>>, commit: u64) -> Self {
        let start = Bound::Included(&range.start[..]);
        Self {
            front,
            shard,
            commit,
            chunk: front.chunk(shard, start, &range.end, commit, FIRST_ROWS),
            limit: FIRST_ROWS,
        }
    }

    /// Moves to the next row. Copies more rows after the last copied row if needed.
    fn advance(&mut self, end: &[u8]) {
        if self.chunk.rows.len() == 1 && self.chunk.has_more {
            self.limit = (2 * self.limit).min(MOST_ROWS);
            let last = self.chunk.key().unwrap_or_default();
            self.chunk = self
                .front
                .chunk(self.shard, Bound::Excluded(last), end, self.commit, self.limit);
        } else {
            self.chunk.rows.pop_front();
        }
    }
}

/// The keys of several fronts in order, each with its newest value as of a commit.
struct Merged<'a> {
    /// The sources, those of newer fronts first.
    sources: Vec<Source<'a>>,
    end: &'a [u8],
}

impl<'a> Merged<'a> {
    fn new(fronts: impl Iterator<Item = &'a Front>, range: &'a Range<Vec<u8>>, commit: u64) -> Self {
        let sources = fronts.flat_map(|front| {
            let shards = if front.rows() == 0 { 0..0 } else { shards_of(range) };
            shards.map(move |shard| Source::new(front, shard, range, commit))
        });
        Self {
            sources: sources.filter(|source| source.chunk.key().is_some()).collect(),
            end: &range.end,
        }
    }

    /// Passes the rows with keys before `end` to a visitor and moves past them.
    fn show_before(&mut self, end: Option<&[u8]>, visitor: &mut Visitor<'_>) -> ControlFlow<()> {
        loop {
            let keys = self.sources.iter().enumerate();
            let keys = keys.filter_map(|(index, source)| Some((source.chunk.key()?, index)));
            // Among equal keys, the source of the newest front has the lowest index.
            let Some((key, newest)) = keys.min() else {
                return ControlFlow::Continue(());
            };
            if end.is_some_and(|end| key >= end) {
                return ControlFlow::Continue(());
            }
            self.show(newest, visitor)?;
        }
    }

    /// Passes the newest value of `key` to a visitor, after all rows before it. Returns `None` if no front has the key.
    fn show_at(&mut self, key: &[u8], visitor: &mut Visitor<'_>) -> Option<ControlFlow<()>> {
        let newest = self.sources.iter().position(|source| source.chunk.key() == Some(key))?;
        Some(self.show(newest, visitor))
    }

    /// Passes the first row of a source to a visitor, unless the row is deleted. Moves past it and older rows of the
    /// same key.
    fn show(&mut self, newest: usize, visitor: &mut Visitor<'_>) -> ControlFlow<()> {
        let (newer, older) = self.sources.split_at_mut(newest + 1);
        let source = &mut newer[newest];
        let Some(key) = source.chunk.key() else {
            return ControlFlow::Continue(());
        };
        for source in older {
            if source.chunk.key() == Some(key) {
                source.advance(self.end);
            }
        }
        if let Some(value) = source.chunk.value() {
            visitor(key, value)?;
        }
        source.advance(self.end);
        ControlFlow::Continue(())
    }
}

/// Passes the rows of `fronts` (newest front first) and of the base below them to a visitor, in order, each key once.
pub(super) fn visit<'a>(
    fronts: impl Iterator<Item = &'a Front>,
    base: &dyn Reader,
    range: &'a Range<Vec<u8>>,
    commit: u64,
    visitor: &mut Visitor<'_>,
) -> Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let mut fronts = Merged::new(fronts, range, commit);
    let mut has_ended = false;
    base.visit(range.clone(), &mut |key, value| {
        let before = fronts.show_before(Some(key), visitor);
        let flow = match before {
            ControlFlow::Break(()) => before,
            ControlFlow::Continue(()) => fronts.show_at(key, visitor).unwrap_or_else(|| visitor(key, value)),
        };
        has_ended = flow.is_break();
        flow
    })?;
    if !has_ended {
        // The result is irrelevant because no rows follow.
        let _ = fronts.show_before(None, visitor);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Batch;
    use crate::store::front::OpenSnapshots;

    /// A scan copies twice as many rows each time, up to a limit, so a long scan copies few times.
    #[test]
    fn a_long_scan_copies_more_and_more_rows() {
        let mut batch = Batch::default();
        for row in 0..1_000_u16 {
            batch.insert(&[[0, 0], row.to_be_bytes()].concat(), b"value");
        }
        let front = Front::behind(0);
        front.apply(1, batch.changes(), &OpenSnapshots::default());
        let range = vec![0, 0]..vec![0, 1];
        let mut source = Source::new(&front, 0, &range, 1);
        let (mut rows, mut limits) = (0, vec![source.limit]);
        while source.chunk.key().is_some() {
            rows += 1;
            source.advance(&range.end);
            limits.push(source.limit);
        }
        limits.dedup();
        assert_eq!((rows, limits), (1_000, vec![4, 8, 16, 32, 64, 128]));
    }
}
