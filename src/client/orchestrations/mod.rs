//! Listing, counting and purging of orchestrations.

mod batch;
mod failures;
mod rows;
mod timeline;

pub use batch::{Batch, BatchAction, BatchError, BatchProgress, BatchReport};
pub use failures::{FailureGroup, Failures};
pub use timeline::{Timeline, TimelineBar};

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::time::SystemTime;

use tokio::task::JoinSet;

use crate::client::handle::Client;
use crate::client::manage::give;
use crate::client::orchestrations::rows::{ALWAYS, Place, read_token, token};
use crate::client::submit::Submission;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::model::orchestration::{OrchestrationRecord, OrchestrationStatus, Order, StopKind};
use crate::time::Timestamp;
use crate::views::info::{self, OrchestrationInfo, Payloads};
use crate::views::orchestrations;
use crate::views::pages::{BYTES_A_PAGE, MAX_PAGE, Page, ROWS_A_PAGE, USUAL_PAGE};
use crate::views::unreadable::Unreadable;
use crate::views::view::View;

/// Number of concurrent purges: enough to share a sync, too few to crowd out the other clients of the hub.
const PURGES_AT_ONCE: usize = 256;

const TERMINAL: [OrchestrationStatus; 4] = [
    OrchestrationStatus::Completed,
    OrchestrationStatus::Failed,
    OrchestrationStatus::Terminated,
    OrchestrationStatus::Canceled,
];

/// A query that lists, counts or purges orchestrations. Created by [`Client::orchestrations`].
///
/// ```
/// use abide::prelude::*;
///
/// #[orchestration]
/// async fn order(ctx: OrchestrationContext, article: String) -> Result<String, Failure> {
///     ctx.wait_for_external_event::<()>("paid").await?;
///     Ok(article)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().orchestration::<order>().open().await?;
/// # let client = hub.client();
/// let lamp = client.start::<order>("lamp".into()).instance_id("order-1").tag("customer", "alice").await?;
/// let bulb = client.start::<order>("bulb".into()).instance_id("order-2").tag("customer", "bob").await?;
/// lamp.raise_event("paid", ()).await?;
/// lamp.result().await?;
///
/// let page = client.orchestrations().tag("customer", "alice").fetch_output().page().await?;
/// assert_eq!(page.items[0].id, "order-1");
/// assert_eq!(page.items[0].output_as::<String>()?.as_deref(), Some("lamp"));
///
/// let running = client.orchestrations().name("order").status(OrchestrationStatus::Running);
/// assert_eq!(running.count().await?, 1);
/// for count in client.orchestrations().counts().await? {
///     println!("{} of `{}` are {:?}", count.count, count.name, count.status);
/// }
///
/// // Only what has ended is purged.
/// assert_eq!(client.orchestrations().prefix("order-").purge().await?, 1);
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until a page is read, counted or purged"]
pub struct OrchestrationQuery {
    client: Client,
    names: Vec<String>,
    statuses: Vec<OrchestrationStatus>,
    prefix: String,
    only_stopped: bool,
    only_unregistered: bool,
    created: Range<Timestamp>,
    changed: Range<Timestamp>,
    tags: Vec<(String, String)>,
    payloads: Payloads,
    page: usize,
    after: Option<String>,
}

/// Number of orchestrations with one name and one status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrchestrationCount {
    /// The stored name of the type.
    pub name: String,
    /// Their status.
    pub status: OrchestrationStatus,
    /// Their number.
    pub count: u64,
}

impl Client {
    /// Returns a query that lists, counts and purges orchestrations. See [`OrchestrationQuery`] for an example.
    pub fn orchestrations(&self) -> OrchestrationQuery {
        OrchestrationQuery {
            client: self.clone(),
            names: Vec::new(),
            statuses: Vec::new(),
            prefix: String::new(),
            only_stopped: false,
            only_unregistered: false,
            created: ALWAYS,
            changed: ALWAYS,
            tags: Vec::new(),
            payloads: Payloads {
                input: false,
                others: false,
            },
            page: USUAL_PAGE,
            after: None,
        }
    }
}

/// The rows of a page in order, each decoded or with the reason why it cannot be read, and the cursor of the next page.
#[derive(Default)]
struct FoundPage {
    rows: Vec<(Place, Result<OrchestrationRecord>)>,
    next: Option<String>,
}

impl OrchestrationQuery {
    /// Includes only orchestrations of the type with this stored name. Several names are alternatives.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Includes only orchestrations with this status. Several statuses are alternatives.
    pub fn status(mut self, status: OrchestrationStatus) -> Self {
        if !self.statuses.contains(&status) {
            self.statuses.push(status);
        }
        self
    }

    /// Includes only orchestrations that cannot continue although they have not ended. Their
    /// [`OrchestrationInfo::stopped`] contains the reason. The results are ordered by creation time.
    pub fn stopped(mut self) -> Self {
        self.only_stopped = true;
        self
    }

    /// Includes only orchestrations that wait for something that is not registered. These are the orchestrations with
    /// [`OrchestrationInfo::unregistered`], and those that are not registered themselves. The results are ordered by
    /// creation time.
    pub fn unregistered(mut self) -> Self {
        self.only_unregistered = true;
        self
    }

    /// Returns `true` if the query includes only some of the orchestrations that have not ended.
    fn only_some_live(&self) -> bool {
        self.only_stopped || self.only_unregistered
    }

    /// Includes only orchestrations whose id begins with `prefix`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Includes only orchestrations that were started at this time or later.
    pub fn created_from(mut self, time: SystemTime) -> Self {
        self.created.start = Timestamp::from(time);
        self
    }

    /// Includes only orchestrations that were started before this time.
    pub fn created_to(mut self, time: SystemTime) -> Self {
        self.created.end = Timestamp::from(time);
        self
    }

    /// Includes only orchestrations that changed at this time or later.
    pub fn changed_from(mut self, time: SystemTime) -> Self {
        self.changed.start = Timestamp::from(time);
        self
    }

    /// Includes only orchestrations that have not changed since this time. Those that have ended match if they ended
    /// before it.
    pub fn changed_to(mut self, time: SystemTime) -> Self {
        self.changed.end = Timestamp::from(time);
        self
    }

    /// Includes only orchestrations with this tag. An orchestration must have all of several tags.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// Also fetches the inputs.
    pub fn fetch_input(mut self) -> Self {
        self.payloads.input = true;
        self
    }

    /// Also fetches outputs, failures, reasons and custom statuses.
    pub fn fetch_output(mut self) -> Self {
        self.payloads.others = true;
        self
    }

    /// Maximum number of orchestrations on one page (default: 100, at most 10,000).
    pub fn page_size(mut self, orchestrations: usize) -> Self {
        self.page = orchestrations.clamp(1, MAX_PAGE);
        self
    }

    /// Continues after an earlier page of the same query. Pagination is stable: an orchestration that matches
    /// throughout is on exactly one page.
    pub fn cursor(mut self, next: impl Into<Option<String>>) -> Self {
        self.after = next.into();
        self
    }

    /// Reads one page, from one consistent and durable state of the hub.
    ///
    /// The results are ordered by id. If the query has a status or a creation time, it reads an index and the results
    /// are ordered by creation time.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if the cursor is not the `next` of a page, or any
    /// [hub error](crate::Error).
    pub async fn page(self) -> Result<Page<OrchestrationInfo>> {
        let client = self.client.clone();
        client
            .on_blocking_thread(move |view| {
                let page = self.read(view)?;
                self.describe(view, page)
            })
            .await
    }

    /// Returns the number of matching orchestrations. A query with a status or a creation time, and without names, tags
    /// or a time of change, reads only an index. Any other query reads the row of every orchestration that its other
    /// conditions include.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn count(self) -> Result<u64> {
        if self.is_indexed() && !self.needs_record() {
            return self.count_keys().await;
        }
        let count = |count: &mut u64, _| {
            *count += 1;
            ControlFlow::Continue(())
        };
        self.fold(0, count).await
    }

    /// Returns the number of matching orchestrations by name and status, in this order.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error).
    pub async fn counts(self) -> Result<Vec<OrchestrationCount>> {
        type Counts = BTreeMap<(String, OrchestrationStatus), u64>;
        let counts = self.fold(Counts::new(), |counts, record| {
            *counts.entry((record.name, record.status)).or_default() += 1;
            ControlFlow::Continue(())
        });
        let counts = counts.await?.into_iter();
        Ok(counts
            .map(|((name, status), count)| OrchestrationCount { name, status, count })
            .collect())
    }

    /// Deletes the matching orchestrations that have ended, and returns their number.
    ///
    /// # Errors
    /// Returns any [hub error](crate::Error). Orchestrations that were purged before the error stay purged.
    pub async fn purge(self) -> Result<u64> {
        self.purge_with(|_| ()).await
    }

    /// Like [`purge`](Self::purge), and calls `progress` after each page with the number of orchestrations purged so
    /// far. The page size bounds the memory used.
    ///
    /// # Errors
    /// Returns the same errors as [`purge`](Self::purge).
    pub async fn purge_with(mut self, mut progress: impl FnMut(u64)) -> Result<u64> {
        if self.statuses.is_empty() {
            self.statuses.extend(TERMINAL);
        }
        self.statuses.retain(|status| status.is_terminal());
        if self.statuses.is_empty() {
            return Ok(0);
        }
        let mut purged = 0;
        loop {
            let query = self.clone();
            let page = self.client.on_blocking_thread(move |view| query.read(view));
            let FoundPage { rows, next } = page.await?;
            let found: Vec<_> = rows.into_iter().filter_map(to_purge).collect();
            for some in found.chunks(PURGES_AT_ONCE) {
                purged += purge_some(&self.client, some).await?;
            }
            progress(purged);
            match next {
                Some(next) => self.after = Some(next),
                None => return Ok(purged),
            }
        }
    }

    async fn count_keys(self) -> Result<u64> {
        let client = self.client.clone();
        client
            .on_blocking_thread(move |view| {
                let mut count = 0;
                self.each_row(view, |id, _| {
                    count += u64::from(id.as_str().starts_with(&self.prefix));
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(count)
            })
            .await
    }

    /// Folds over all matching orchestrations, until `add` breaks.
    async fn fold<R: Send + 'static>(
        self,
        start: R,
        mut add: impl FnMut(&mut R, OrchestrationRecord) -> ControlFlow<()> + Send + 'static,
    ) -> Result<R> {
        let client = self.client.clone();
        client
            .on_blocking_thread(move |view| {
                let mut folded = start;
                self.each_row(view, |id, row| {
                    match readable(self.record(view, &id, row))? {
                        Ok(Some(record)) if self.matches(&id, &record) => return Ok(add(&mut folded, record)),
                        Ok(_) => {}
                        // A count does not report the row, so at least log it.
                        Err(reason) => drop(Unreadable::new(id.as_str(), &reason)),
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(folded)
            })
            .await
    }

    /// Reads the rows of one page, and the cursor of the next page.
    fn read(&self, view: View<'_>) -> Result<FoundPage> {
        let after = self.after.as_deref().map(read_token).transpose()?;
        let chunk = (2 * self.page / usize::from(view.partitions)).clamp(8, 1_024);
        let mut rows = self.rows(view, after.as_ref(), chunk)?;
        let mut page = FoundPage::default();
        let (mut last, mut bytes) = (None, 0);
        for _ in 0..ROWS_A_PAGE {
            let Some((place, _, row)) = rows.next()? else {
                return Ok(page);
            };
            match readable(self.record(view, &place.1, &row))? {
                Ok(Some(record)) if self.matches(&place.1, &record) => {
                    bytes += record.text_bytes();
                    page.rows.push((place.clone(), Ok(record)));
                }
                Ok(_) => {}
                Err(reason) => page.rows.push((place.clone(), Err(reason))),
            }
            last = Some(place);
            if page.rows.len() >= self.page || bytes > BYTES_A_PAGE {
                break;
            }
        }
        let more = rows.next()?.is_some();
        page.next = last.filter(|_| more).as_ref().map(token);
        Ok(page)
    }

    /// Builds a page from the rows found and reads what the query fetches. Rows that would make the page too large are
    /// left to the next page.
    fn describe(&self, view: View<'_>, page: FoundPage) -> Result<Page<OrchestrationInfo>> {
        let FoundPage { rows, next } = page;
        let mut page = Page {
            items: Vec::with_capacity(rows.len()),
            unreadable: Vec::new(),
            next,
        };
        let mut rows = rows.into_iter();
        let mut bytes = 0;
        while let Some((place, record)) = rows.next() {
            let describe = |record| info::describe(view.reader, view.partitions, &place.1, record, self.payloads);
            match readable(record.and_then(describe))? {
                Ok(info) => {
                    bytes += info.text_bytes();
                    page.items.push(info);
                }
                Err(reason) => page.unreadable.push(Unreadable::new(place.1.as_str(), &reason)),
            }
            if bytes > BYTES_A_PAGE && rows.len() > 0 {
                page.next = Some(token(&place));
                break;
            }
        }
        Ok(page)
    }

    /// Returns the record of a row: the row itself, or the row that the index points to.
    fn record(&self, view: View<'_>, id: &InstanceId, row: &[u8]) -> Result<Option<OrchestrationRecord>> {
        let mut record = if !self.is_indexed() {
            info::decode(view, row).map(Some)?
        } else if id.as_str().starts_with(&self.prefix) {
            info::record(view, id)?
        } else {
            None
        };
        if let Some(record) = &mut record
            && self.changed != ALWAYS
        {
            orchestrations::catch_up(view.reader, id.partition(view.partitions), id, record)?;
        }
        Ok(record)
    }

    fn matches(&self, id: &InstanceId, record: &OrchestrationRecord) -> bool {
        id.as_str().starts_with(&self.prefix)
            && (self.names.is_empty() || self.names.contains(&record.name))
            && (self.statuses.is_empty() || self.statuses.contains(&record.status))
            && self.created.contains(&record.created)
            && self.changed.contains(&record.changed)
            && (!self.only_stopped || record.stopped.is_some())
            && (!self.only_unregistered || awaits_unregistered(record))
            && self.tags.iter().all(|tag| record.tags.contains(tag))
    }
}

/// Separates an unreadable row from an error of the store.
fn readable<T>(read: Result<T>) -> Result<Result<T>> {
    match read {
        Err(error) if error.kind() != ErrorKind::Corrupted => Err(error),
        read => Ok(read),
    }
}

/// Returns the row if it can be read and purged.
fn to_purge((place, record): (Place, Result<OrchestrationRecord>)) -> Option<(Place, OrchestrationRecord)> {
    match record {
        Ok(record) => Some((place, record)),
        Err(reason) => {
            // A purge does not report the row, so at least log it.
            drop(Unreadable::new(place.1.as_str(), &reason));
            None
        }
    }
}

/// Purges the rows of a page, and returns the number of those that still existed.
async fn purge_some(client: &Client, found: &[(Place, OrchestrationRecord)]) -> Result<u64> {
    let tokio = client.runtime()?.tokio.clone();
    let mut purges = JoinSet::new();
    for ((_, id), record) in found {
        let order = Order::Purge {
            children: false,
            seen: Some((record.execution, record.changed)),
        };
        let submission = Submission::order(id.clone(), order);
        purges.spawn_on(give(client.clone(), submission), &tokio);
    }
    let mut purged = 0;
    while let Some(ended) = purges.join_next().await {
        let ended = ended
            .map_err(|error| Error::new(ErrorKind::Closed, "the tokio runtime is shutting down").with_source(error))?;
        match ended {
            Ok(()) => purged += 1,
            // It was purged or changed since the page was read.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WrongState) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(purged)
}

/// Returns `true` if an orchestration waits for something that is not registered, including its own type.
fn awaits_unregistered(record: &OrchestrationRecord) -> bool {
    let is_itself = record
        .stopped
        .as_ref()
        .is_some_and(|stopped| stopped.kind == StopKind::Unregistered);
    is_itself || !record.unregistered.is_empty()
}
