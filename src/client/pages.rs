//! Pages of what is listed partition by partition.

use std::ops::Range;

use crate::client::source::View;
use crate::client::unreadable::Unreadable;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EntityId, PartitionId};
use crate::store::{PageBounds, keys};

/// The most rows on one page.
pub(super) const MAX_PAGE: usize = 10_000;

/// What is read at once. What is listed here may be as large as a message.
const AT_ONCE: PageBounds = PageBounds {
    rows: 64,
    bytes: 256 << 10,
};

/// A page ends when its rows have more bytes than this.
const BYTES_A_PAGE: usize = 4 << 20;

/// Where a page begins: in this partition behind this key.
pub(super) type After = (PartitionId, Vec<u8>);

/// The rows of one page.
pub(super) struct Found<T> {
    pub(super) rows: Vec<T>,
    /// Those that cannot be read.
    pub(super) unreadable: Vec<Unreadable>,
    /// The position after which the next page begins. `None` on the last page.
    pub(super) next: Option<String>,
}

/// A row: its partition, its key and its value.
pub(super) type Placed<'a> = (PartitionId, &'a [u8], &'a [u8]);

/// Reads up to `at_most` rows. `id` names a row by its key, and the next page comes after such a name; `read` makes something
/// of a row with its name.
pub(super) fn page<T>(
    view: View<'_>,
    table: impl Fn(PartitionId) -> Range<Vec<u8>>,
    after: Option<After>,
    at_most: usize,
    id: impl Fn(PartitionId, &[u8]) -> Option<String>,
    read: impl Fn(&str, Placed<'_>) -> Result<T>,
) -> Result<Found<T>> {
    let at_most = at_most.clamp(1, MAX_PAGE);
    let (first, mut after) = match after {
        Some((partition, key)) => (partition.0, Some(key)),
        None => (0, None),
    };
    let mut found = Found {
        rows: Vec::new(),
        unreadable: Vec::new(),
        next: None,
    };
    let (mut bytes, mut last_id) = (0, None);
    for partition in (first..view.partitions).map(PartitionId) {
        let mut range = table(partition);
        if let Some(key) = after.take() {
            range.start = range.start.max(keys::behind(key));
        }
        loop {
            let page = view.reader.page(range.clone(), AT_ONCE)?;
            for (key, value) in &page.rows {
                // One row is looked at beyond the page, to know whether there is another page.
                if found.rows.len() + found.unreadable.len() >= at_most || bytes > BYTES_A_PAGE {
                    found.next = last_id;
                    return Ok(found);
                }
                // A key that no build has written names nothing.
                let Some(id) = id(partition, key) else { continue };
                bytes += value.len();
                match read(&id, (partition, key, value)) {
                    Ok(row) => found.rows.push(row),
                    Err(reason) => found.unreadable.push(Unreadable::new(&id, &reason)),
                }
                last_id = Some(id);
            }
            match page.rows.last() {
                Some((last, _)) if page.full => range.start = keys::behind(last.clone()),
                _ => break,
            }
        }
    }
    Ok(found)
}

/// The id of an entity that a row names.
pub(super) fn stored_entity(id: &str) -> Result<EntityId> {
    EntityId::of_stored(id).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupted,
            format!("the stored id `{}` is not that of an entity", id.escape_debug()),
        )
    })
}
