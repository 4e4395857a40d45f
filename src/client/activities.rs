//! The activities that have not ended, for operators.

use std::fmt;

use crate::client::admin::Admin;
use crate::client::handle::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::views::activities::{ActivitySummary, OpenActivity, read_cursor, read_page, summary};
use crate::views::pages::{MAX_PAGE, Page, USUAL_PAGE};

/// A query that lists the activities that have not ended. Created by [`Admin::activities`].
#[must_use = "a query does nothing until a page is read"]
pub struct ActivityQuery {
    client: Client,
    name: Option<String>,
    page: usize,
    after: Option<String>,
}

impl Admin {
    /// Counts the activities that have not ended, by name. Reads at most 100,000 of them.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[activity]
    /// async fn charge(cents: u64) -> Result<u64, Failure> {
    ///     Ok(cents)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// let hub = Hub::in_memory().activity::<charge>().open().await?;
    /// for activity in hub.client().admin().activity_summary().await?.activities {
    ///     println!("{}: {} run, {} wait", activity.name, activity.running, activity.waiting);
    /// }
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn activity_summary(&self) -> Result<ActivitySummary> {
        self.client.on_blocking_thread(summary).await
    }

    /// Returns a query that lists the activities that have not ended: which run, which wait, and why.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = abide::Hub::in_memory().open().await?;
    /// let page = hub.client().admin().activities().name("charge").page().await?;
    /// for activity in page.items {
    ///     println!("step {} of {}: {:?}", activity.sequence, activity.instance, activity.progress);
    /// }
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn activities(&self) -> ActivityQuery {
        ActivityQuery {
            client: self.client.clone(),
            name: None,
            page: USUAL_PAGE,
            after: None,
        }
    }
}

impl ActivityQuery {
    /// Includes only activities with this stored name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Maximum number of activities on one page (default: 100, at most 10,000).
    pub fn page_size(mut self, activities: usize) -> Self {
        self.page = activities.clamp(1, MAX_PAGE);
        self
    }

    /// Continues after an earlier page, whose [`Page::next`] is `next`.
    pub fn cursor(mut self, next: impl Into<Option<String>>) -> Self {
        self.after = next.into();
        self
    }

    /// Reads one page, from one consistent and durable state of the hub.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the cursor is not the `next` of a page, or any
    /// [hub error](crate::Error).
    pub async fn page(self) -> Result<Page<OpenActivity>> {
        let after = self.after.as_deref().map(|after| {
            read_cursor(after).ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidId,
                    "the cursor is not that of a page of activities; pass the `next` of a page",
                )
            })
        });
        let after = after.transpose()?;
        let (name, at_most) = (self.name, self.page);
        let read = move |view: crate::views::view::View<'_>| read_page(view, name.as_deref(), after, at_most);
        self.client.on_blocking_thread(read).await
    }
}

impl fmt::Debug for ActivityQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityQuery")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
