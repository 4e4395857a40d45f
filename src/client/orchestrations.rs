//! Listing, counting and purging orchestrations.

mod rows;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::SystemTime;

use tokio::task::JoinSet;

use crate::client::handle::Client;
use crate::client::info::{self, OrchestrationInfo, Payloads};
use crate::client::manage::give;
use crate::client::orchestrations::rows::{ALWAYS, Place, read_token, token};
use crate::client::source::View;
use crate::client::submit::Submission;
use crate::client::unreadable::Unreadable;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::store::instances;
use crate::store::records::instance::{InstanceRecord, OrchestrationStatus, Order, StopKind};
use crate::time::Timestamp;

/// How many rows one page may look at before it ends early: a filter that matches little must not read for ever.
const ROWS_A_PAGE: usize = 100_000;

/// The most orchestrations on one page.
const MAX_PAGE: usize = 10_000;

/// A page ends when its payloads have more bytes than this: what is held for a slow reader is bounded.
pub(super) const BYTES_A_PAGE: usize = 4 << 20;

/// How many purges are on their way at one time: enough to share a sync, too few to crowd out the hub's other clients.
const PURGES_AT_ONCE: usize = 256;

const TERMINAL: [OrchestrationStatus; 4] = [
    OrchestrationStatus::Completed,
    OrchestrationStatus::Failed,
    OrchestrationStatus::Terminated,
    OrchestrationStatus::Canceled,
];

/// Which orchestrations to list, count or purge. Made by [`Client::orchestrations`].
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

/// One page of a list of orchestrations.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OrchestrationPage {
    /// The orchestrations. A page may hold fewer than were asked for, even none, although more follow.
    pub orchestrations: Vec<OrchestrationInfo>,
    /// Further orchestrations, whose rows cannot be read, whether or not they match all of the query.
    pub unreadable: Vec<Unreadable>,
    /// What the next page comes after; nothing if this is the last one.
    pub next: Option<String>,
}

/// How many orchestrations of one name have one status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrchestrationCount {
    /// The stored name of the type.
    pub name: String,
    /// Where they stand.
    pub status: OrchestrationStatus,
    /// How many there are.
    pub count: u64,
}

impl Client {
    /// Lists, counts and purges orchestrations.
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
            page: 100,
            after: None,
        }
    }
}

/// The rows of a page in their order, each read or with the reason why it cannot be, and what the next page comes after.
#[derive(Default)]
struct FoundPage {
    rows: Vec<(Place, Result<InstanceRecord>)>,
    next: Option<String>,
}

impl OrchestrationQuery {
    /// Only orchestrations of the type with this stored name. Several are alternatives.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Only orchestrations with this status. Several are alternatives.
    pub fn status(mut self, status: OrchestrationStatus) -> Self {
        if !self.statuses.contains(&status) {
            self.statuses.push(status);
        }
        self
    }

    /// Only orchestrations that cannot go on, though they have not ended: those of which [`OrchestrationInfo::stopped`] tells
    /// why. The order is that of creation.
    pub fn stopped(mut self) -> Self {
        self.only_stopped = true;
        self
    }

    /// Only orchestrations that wait for something nobody has registered: those with
    /// [`OrchestrationInfo::unregistered`], and those that are not registered themselves. The order is that of creation.
    pub fn unregistered(mut self) -> Self {
        self.only_unregistered = true;
        self
    }

    /// Whether only some of those are wanted that have not ended.
    fn only_some_live(&self) -> bool {
        self.only_stopped || self.only_unregistered
    }

    /// Only orchestrations whose id begins with `prefix`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Only orchestrations that were started at this time or later.
    pub fn created_from(mut self, time: SystemTime) -> Self {
        self.created.start = Timestamp::from(time);
        self
    }

    /// Only orchestrations that were started before this time.
    pub fn created_to(mut self, time: SystemTime) -> Self {
        self.created.end = Timestamp::from(time);
        self
    }

    /// Only orchestrations to which something happened at this time or later.
    pub fn changed_from(mut self, time: SystemTime) -> Self {
        self.changed.start = Timestamp::from(time);
        self
    }

    /// Only orchestrations to which nothing happened since this time. Of those that have ended: which ended before it.
    pub fn changed_to(mut self, time: SystemTime) -> Self {
        self.changed.end = Timestamp::from(time);
        self
    }

    /// Only orchestrations with this tag. Of several all are needed.
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((name.into(), value.into()));
        self
    }

    /// Fetches the inputs, too.
    pub fn fetch_input(mut self) -> Self {
        self.payloads.input = true;
        self
    }

    /// Fetches outputs, failures, reasons and custom statuses, too.
    pub fn fetch_output(mut self) -> Self {
        self.payloads.others = true;
        self
    }

    /// At most this many orchestrations at once; 100 if nothing is said, 10 000 at most.
    pub fn page(mut self, orchestrations: usize) -> Self {
        self.page = orchestrations.clamp(1, MAX_PAGE);
        self
    }

    /// Goes on after an earlier page of the same query. Pages are stable: what matched all the time is on exactly one of
    /// them.
    pub fn after(mut self, next: impl Into<String>) -> Self {
        self.after = Some(next.into());
        self
    }

    /// Reads one page. It shows one consistent state of the hub, and it is durable.
    ///
    /// The order is that of the ids; if the query names a status or a time of creation it is that of creation, because then
    /// an index is read that has this order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`] if `after` is not the [`next`](OrchestrationPage::next) of a page, and what the hub meets.
    pub async fn list(self) -> Result<OrchestrationPage> {
        let client = self.client.clone();
        client
            .on_blocking_thread(move |view| {
                let page = self.read(view)?;
                self.describe(view, page)
            })
            .await
    }

    /// Counts. With a status or a time of creation, and without a name, tags or a time of change, it reads an index;
    /// otherwise the row of every orchestration that the other conditions let through.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn count(self) -> Result<u64> {
        if self.is_indexed() && !self.needs_record() {
            return self.count_keys().await;
        }
        self.fold(0, |count: &mut u64, _| *count += 1).await
    }

    /// Counts by name and status, in this order.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn counts(self) -> Result<Vec<OrchestrationCount>> {
        type Counts = BTreeMap<(String, OrchestrationStatus), u64>;
        let counts = self.fold(Counts::new(), |counts, record| {
            *counts.entry((record.name, record.status)).or_default() += 1;
        });
        let counts = counts.await?.into_iter();
        Ok(counts
            .map(|((name, status), count)| OrchestrationCount { name, status, count })
            .collect())
    }

    /// Forgets those that match and have ended, and says how many they were.
    ///
    /// # Errors
    /// What the hub meets. What was purged before stays purged.
    pub async fn purge(self) -> Result<u64> {
        self.purge_with(|_| ()).await
    }

    /// As [`purge`](Self::purge), telling after each page how many are purged by now. The [page](Self::page) bounds what is
    /// held in memory.
    ///
    /// # Errors
    /// As [`purge`](Self::purge).
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
                    Ok(())
                })?;
                Ok(count)
            })
            .await
    }

    /// Goes over everything that matches.
    async fn fold<R: Send + 'static>(
        self,
        start: R,
        mut add: impl FnMut(&mut R, InstanceRecord) + Send + 'static,
    ) -> Result<R> {
        let client = self.client.clone();
        client
            .on_blocking_thread(move |view| {
                let mut folded = start;
                self.each_row(view, |id, row| {
                    match readable(self.record(view, &id, row))? {
                        Ok(Some(record)) if self.matches(&id, &record) => add(&mut folded, record),
                        Ok(_) => {}
                        // A count says nothing of it, so at least the log does.
                        Err(reason) => drop(Unreadable::new(id.as_str(), &reason)),
                    }
                    Ok(())
                })?;
                Ok(folded)
            })
            .await
    }

    /// One page, and what the next one comes after.
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

    /// Makes a page of what was found, reading what the query fetches. What would be too much for one page is left to the
    /// next.
    fn describe(&self, view: View<'_>, page: FoundPage) -> Result<OrchestrationPage> {
        let FoundPage { rows, next } = page;
        let mut page = OrchestrationPage {
            orchestrations: Vec::with_capacity(rows.len()),
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
                    page.orchestrations.push(info);
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

    /// The record of a row: the row itself, or what the index points to.
    fn record(&self, view: View<'_>, id: &InstanceId, row: &[u8]) -> Result<Option<InstanceRecord>> {
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
            instances::catch_up(view.reader, id.partition(view.partitions), id, record)?;
        }
        Ok(record)
    }

    fn matches(&self, id: &InstanceId, record: &InstanceRecord) -> bool {
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

/// What was read, or why just this row cannot be read; another error is the store's.
fn readable<T>(read: Result<T>) -> Result<Result<T>> {
    match read {
        Err(error) if error.kind() != ErrorKind::Corrupted => Err(error),
        read => Ok(read),
    }
}

/// The row of a page as far as it can be purged.
fn to_purge((place, record): (Place, Result<InstanceRecord>)) -> Option<(Place, InstanceRecord)> {
    match record {
        Ok(record) => Some((place, record)),
        Err(reason) => {
            // A purge says nothing of it, so at least the log does.
            drop(Unreadable::new(place.1.as_str(), &reason));
            None
        }
    }
}

/// Purges what a page found, and says how many of them were still there to be purged.
async fn purge_some(client: &Client, found: &[(Place, InstanceRecord)]) -> Result<u64> {
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
        let ended =
            ended.map_err(|error| Error::new(ErrorKind::Closed, "the tokio runtime ends").with_source(error))?;
        match ended {
            Ok(()) => purged += 1,
            // Someone else purged it, or something happened to it, since the page was read.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::WrongState) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(purged)
}

/// Whether an orchestration waits for something that nobody has registered, be it itself.
fn awaits_unregistered(record: &InstanceRecord) -> bool {
    let is_itself = record
        .stopped
        .as_ref()
        .is_some_and(|stopped| stopped.kind == StopKind::Unregistered);
    is_itself || !record.unregistered.is_empty()
}
