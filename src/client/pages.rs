//! Pages of lists that are read partition by partition.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;

use crate::client::handle::Client;
use crate::client::source::View;
use crate::client::unreadable::Unreadable;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EntityId, PartitionId};
use crate::schema;
use crate::store::PageBounds;

/// Maximum number of rows on one page.
pub(super) const MAX_PAGE: usize = 10_000;

/// Default number of items on one page.
pub(super) const USUAL_PAGE: usize = 100;

/// Bounds of a single read. A row may be as large as a message.
const AT_ONCE: PageBounds = PageBounds {
    rows: 64,
    bytes: 256 << 10,
};

/// Size of rows in bytes after which a page ends.
pub(super) const BYTES_A_PAGE: usize = 4 << 20;

/// Maximum number of rows that a query reads for one page. A filter that matches little must not read forever.
pub(super) const ROWS_A_PAGE: usize = 100_000;

/// The position after which a page begins: a partition and a key in it.
pub(super) type After = (PartitionId, Vec<u8>);

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

/// A future that reads one page.
type ReadPage<T> = Pin<Box<dyn Future<Output = Result<Page<T>>> + Send>>;

/// A list that is read whole when it is awaited, or page by page with [`page`](Self::page).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = abide::Hub::in_memory().open().await?;
/// let admin = hub.client().admin();
///
/// let all = admin.dead_letters().await?;
/// let page = admin.dead_letters().page_size(50).page().await?;
/// # assert!(all.is_empty());
/// let next = admin.dead_letters().page_size(50).cursor(page.next).page().await?;
/// # assert!(next.items.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "a list does nothing until it is awaited or a page of it is read"]
pub struct List<T> {
    client: Client,
    read: fn(Client, Option<String>, usize) -> ReadPage<T>,
    cursor: Option<String>,
    page_size: usize,
}

impl<T> List<T> {
    /// Creates a list. `read` reads a page from the cursor and the maximum number of items.
    pub(crate) fn new(client: Client, read: fn(Client, Option<String>, usize) -> ReadPage<T>) -> Self {
        Self {
            client,
            read,
            cursor: None,
            page_size: USUAL_PAGE,
        }
    }

    /// Maximum number of items on one page (default: 100, at most 10,000). A page also ends when it holds more than 4
    /// MiB.
    pub fn page_size(mut self, items: usize) -> Self {
        self.page_size = items.clamp(1, MAX_PAGE);
        self
    }

    /// Continues after an earlier page, whose [`Page::next`] is `next`. An item that exists throughout is on exactly
    /// one page.
    pub fn cursor(mut self, next: impl Into<Option<String>>) -> Self {
        self.cursor = next.into();
        self
    }

    /// Reads one page.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the cursor is not the [`next`](Page::next) of a page, or
    /// any [hub error](crate::Error).
    pub async fn page(self) -> Result<Page<T>> {
        (self.read)(self.client, self.cursor, self.page_size).await
    }

    async fn all(self) -> Result<Vec<T>> {
        let (mut items, mut cursor) = (Vec::new(), self.cursor);
        loop {
            let page = (self.read)(self.client.clone(), cursor, MAX_PAGE).await?;
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(items);
            }
        }
    }
}

impl<T: Send + 'static> IntoFuture for List<T> {
    type Output = Result<Vec<T>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Vec<T>>> + Send>>;

    /// Reads all items from the cursor on. Unreadable items are left out, but [`page`](List::page) reports them.
    ///
    /// # Errors
    /// Returns the same errors as [`page`](List::page).
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.all())
    }
}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("cursor", &self.cursor)
            .field("page_size", &self.page_size)
            .finish_non_exhaustive()
    }
}

/// A row: its partition, its key and its value.
pub(super) type Placed<'a> = (PartitionId, &'a [u8], &'a [u8]);

/// Reads up to `at_most` rows. `id` returns the name of a row from its key, which is also the cursor of the next page.
/// `read` decodes a row.
pub(super) fn page<T>(
    view: View<'_>,
    table: impl Fn(PartitionId) -> Range<Vec<u8>>,
    after: Option<After>,
    at_most: usize,
    id: impl Fn(PartitionId, &[u8]) -> Option<String>,
    read: impl Fn(&str, Placed<'_>) -> Result<T>,
) -> Result<Page<T>> {
    let at_most = at_most.clamp(1, MAX_PAGE);
    let (first, mut after) = match after {
        Some((partition, key)) => (partition.0, Some(key)),
        None => (0, None),
    };
    let mut found = Page::default();
    let (mut bytes, mut last_id) = (0, None);
    for partition in (first..view.partitions).map(PartitionId) {
        let mut range = table(partition);
        if let Some(key) = after.take() {
            range.start = range.start.max(schema::behind(key));
        }
        loop {
            let page = view.reader.page(range.clone(), AT_ONCE)?;
            for (key, value) in &page.rows {
                // One row beyond the page is read, to find out whether there is another page.
                if found.items.len() + found.unreadable.len() >= at_most || bytes > BYTES_A_PAGE {
                    found.next = last_id;
                    return Ok(found);
                }
                // A key that no build has written has no name.
                let Some(id) = id(partition, key) else { continue };
                bytes += value.len();
                match read(&id, (partition, key, value)) {
                    Ok(row) => found.items.push(row),
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
pub(super) fn stored_entity(id: &str) -> Result<EntityId> {
    EntityId::of_stored(id).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupted,
            format!("the stored id `{}` is not that of an entity", id.escape_debug()),
        )
    })
}
