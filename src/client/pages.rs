//! Pages of what is listed partition by partition.

use std::ops::Range;

use crate::client::merged::behind;
use crate::client::source::View;
use crate::error::Result;
use crate::id::PartitionId;

/// The most rows on one page.
pub(super) const MAX_PAGE: usize = 10_000;

/// The most rows that are read at once.
const ROWS_AT_ONCE: usize = 64;

/// How many bytes the rows should have that are read at once. What is listed here may be as large as a message.
const BYTES_AT_ONCE: usize = 256 << 10;

/// A page ends when its rows have more bytes than this.
const BYTES_A_PAGE: usize = 4 << 20;

/// Where a page begins: in this partition behind this key.
pub(super) type After = (PartitionId, Vec<u8>);

/// Reads up to `at_most` rows that `read` makes something of, and says whether more follow.
pub(super) fn page<T>(
    view: View<'_>,
    table: impl Fn(PartitionId) -> Range<Vec<u8>>,
    after: Option<After>,
    at_most: usize,
    read: impl Fn(PartitionId, &[u8], &[u8]) -> Result<Option<T>>,
) -> Result<(Vec<T>, bool)> {
    let at_most = at_most.clamp(1, MAX_PAGE);
    let (first, mut after) = match after {
        Some((partition, key)) => (partition.0, Some(key)),
        None => (0, None),
    };
    let (mut found, mut bytes) = (Vec::new(), 0);
    let mut at_once = 1;
    for partition in (first..view.partitions).map(PartitionId) {
        let mut range = table(partition);
        if let Some(key) = after.take() {
            range.start = range.start.max(behind(key));
        }
        loop {
            let rows = view.reader.scan(range.clone(), at_once)?;
            let read_bytes: usize = rows.iter().map(|(_, value)| value.len()).sum();
            for (key, value) in &rows {
                // One row is looked at beyond the page, to know whether there is another page.
                if found.len() == at_most || bytes > BYTES_A_PAGE {
                    return Ok((found, true));
                }
                bytes += value.len();
                found.extend(read(partition, key, value)?);
            }
            match rows.last() {
                Some((last, _)) if rows.len() == at_once => range.start = behind(last.clone()),
                _ => break,
            }
            at_once = (BYTES_AT_ONCE * rows.len() / read_bytes.max(1)).clamp(1, ROWS_AT_ONCE);
        }
    }
    Ok((found, false))
}
