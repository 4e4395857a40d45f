//! Lists that are read whole or page by page.

use std::fmt;
use std::pin::Pin;

use crate::client::handle::Client;
use crate::error::Result;
use crate::views::pages::{MAX_PAGE, Page, USUAL_PAGE};

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
    /// Returns an error of kind [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if the cursor is not the
    /// [`next`](Page::next) of a page, or any [hub error](crate::Error).
    pub async fn page(self) -> Result<Page<T>> {
        (self.read)(self.client, self.cursor, self.page_size).await
    }

    async fn all(self) -> Result<Vec<T>> {
        let (mut items, mut cursor) = (Vec::new(), self.cursor);
        loop {
            let page = (self.read)(self.client.share(), cursor, MAX_PAGE).await?;
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
