//! Pages of lists that are read partition by partition.

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{EntityId, PartitionId};
use crate::schema;
use crate::store::PageBounds;
use crate::views::unreadable::Unreadable;
use crate::views::view::View;

/// Maximum number of rows on one page.
pub(crate) const MAX_PAGE: usize = 10_000;

/// Default number of items on one page.
pub(crate) const USUAL_PAGE: usize = 100;

/// Bounds of a single read. A row may be as large as a message.
const AT_ONCE: PageBounds = PageBounds {
    rows: 64,
    bytes: 256 << 10,
};

/// Size of rows in bytes after which a page ends.
pub(crate) const BYTES_A_PAGE: usize = 4 << 20;

/// Maximum number of rows that a query reads for one page. A filter that matches little must not read forever.
pub(crate) const ROWS_A_PAGE: usize = 100_000;

/// The position after which a page begins: a partition and a key in it.
pub(crate) type After = (PartitionId, Vec<u8>);

/// One page of a list.
///
/// ```
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// # let client = hub.client();
/// for n in 0..3 {
///     client.entity::<Counter>(n).add(1).await?;
/// }
/// let first = client.entities().page_size(2).page().await?;
/// assert_eq!(first.items.len(), 2);
/// let second = client.entities().page_size(2).cursor(first.next).page().await?;
/// assert_eq!((second.items.len(), second.next), (1, None));
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items of the page. A page may hold fewer items than its size, even none, although more pages follow.
    pub items: Vec<T>,
    /// Other items of the list, whose rows cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// The position of the next page, for `cursor`. `None` on the last page.
    pub next: Option<String>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            unreadable: Vec::new(),
            next: None,
        }
    }
}

/// A row: its partition, its key and its value.
pub(crate) type Placed<'a> = (PartitionId, &'a [u8], &'a [u8]);

/// Reads up to `at_most` rows. `id` returns the name of a row from its key, which is also the cursor of the next page.
/// `read` decodes a row.
pub(crate) fn page<T>(
    view: View<'_>,
    table: impl Fn(PartitionId) -> Range<Vec<u8>>,
    after: Option<After>,
    at_most: usize,
    id: impl Fn(PartitionId, &[u8]) -> Option<String>,
    read: impl Fn(&str, Placed<'_>) -> Result<T>,
) -> Result<Page<T>> {
    page_of(view, table, after, at_most, id, |id, row| read(id, row).map(Some))
}

/// Like [`page`], but `read` may leave out rows. A page then ends after 100,000 rows, however few of them it has.
pub(crate) fn page_of<T>(
    view: View<'_>,
    table: impl Fn(PartitionId) -> Range<Vec<u8>>,
    after: Option<After>,
    at_most: usize,
    id: impl Fn(PartitionId, &[u8]) -> Option<String>,
    read: impl Fn(&str, Placed<'_>) -> Result<Option<T>>,
) -> Result<Page<T>> {
    let at_most = at_most.clamp(1, MAX_PAGE);
    let (first, mut after) = match after {
        Some((partition, key)) => (partition.0, Some(key)),
        None => (0, None),
    };
    let mut found = Page::default();
    let (mut bytes, mut rows, mut last_id) = (0, 0, None);
    for partition in (first..view.partitions).map(PartitionId) {
        let mut range = table(partition);
        if let Some(key) = after.take() {
            range.start = range.start.max(schema::behind(key));
        }
        loop {
            let page = view.reader.page(range.clone(), AT_ONCE)?;
            for (key, value) in &page.rows {
                // One row beyond the page is read, to find out whether there is another page.
                if found.items.len() + found.unreadable.len() >= at_most || bytes > BYTES_A_PAGE || rows == ROWS_A_PAGE
                {
                    found.next = last_id;
                    return Ok(found);
                }
                // A key that no build has written has no name.
                let Some(id) = id(partition, key) else { continue };
                rows += 1;
                match read(&id, (partition, key, value)) {
                    Ok(Some(row)) => {
                        bytes += value.len();
                        found.items.push(row);
                    }
                    Ok(None) => {}
                    Err(reason) => found.unreadable.push(Unreadable::new(&id, &reason)),
                }
                last_id = Some(id);
            }
            match page.rows.last() {
                Some((last, _)) if page.full => range.start = schema::behind(last.clone()),
                _ => break,
            }
        }
    }
    Ok(found)
}

/// Parses the id of an entity from a row.
pub(crate) fn stored_entity(id: &str) -> Result<EntityId> {
    EntityId::of_stored(id).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupted,
            format!("the stored id `{}` is not that of an entity", id.escape_debug()),
        )
    })
}
