//! The feed of durable changes.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Sleep, sleep};
use xxhash_rust::xxh3::xxh3_64;

use crate::client::handle::Client;
use crate::engine::{ChangeKind, ChangeKinds, InstanceChange, NotedChange};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Runtime, Watcher, closed};

/// Minimum time between two batches. Changes that follow each other quickly arrive together.
const PACE: Duration = Duration::from_millis(200);

/// A feed to receive. Created by [`Client::changes`].
#[derive(Debug)]
#[must_use = "nothing is received until the query is watched"]
pub struct ChangeQuery {
    client: Client,
    filter: Filter,
    /// All kinds if empty.
    kinds: Vec<ChangeKind>,
    after: Option<String>,
}

#[derive(Debug, Default)]
struct Filter {
    prefix: String,
    name: Option<String>,
}

/// The feed of the changes of instances that have become durable. Created by [`ChangeQuery::watch`].
///
/// The feed is bounded: it keeps the newest 8,192 changes, and a batch has at most 256. A reader that is further behind
/// receives a batch with [`has_gap`](ChangeBatch::has_gap). So does a reader that begins to watch while a step is in
/// progress, because that step has not noted its changes. The feed is meant for views of a hub, which read again what
/// they show after a gap. It is not a queue.
///
/// ```
/// use abide::client::ChangeKind;
/// use abide::prelude::*;
///
/// #[orchestration]
/// async fn order(ctx: OrchestrationContext, article: String) -> Result<String, Failure> {
///     Ok(article)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().orchestration::<order>().open().await?;
/// let client = hub.client();
/// let mut changes = client.changes().prefix("order-").kind(ChangeKind::Ended).watch()?;
/// client.start::<order>("lamp".into()).instance_id("order-1").await?;
///
/// let batch = changes.next().await?;
/// assert_eq!(batch.changes[0].id, "order-1");
/// assert_eq!(batch.changes[0].status, Some(OrchestrationStatus::Completed));
/// # hub.shutdown().await
/// # }
/// ```
#[must_use = "changes are received by `next`"]
pub struct Changes {
    watcher: Watcher,
    filter: Filter,
    runtime: Weak<Runtime>,
    /// Distinguishes positions of this life of the hub from those of other lives.
    life: u64,
    position: u64,
    /// True if the reader comes from another life of the hub.
    is_lost: bool,
    /// Ends at the earliest time of the next read.
    pace: Option<Pin<Box<Sleep>>>,
}

/// Some changes of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangeBatch {
    /// The changes, in the order of the commits of each executor.
    pub changes: Vec<InstanceChange>,
    /// True if changes are missing before these: the reader was too slow or away for too long, or the hub was opened
    /// again.
    pub has_gap: bool,
    /// The position after these changes, for [`ChangeQuery::after`].
    pub position: String,
}

impl Client {
    /// Returns a query for the feed of durable changes. See [`Changes`] for an example.
    pub fn changes(&self) -> ChangeQuery {
        ChangeQuery {
            client: self.clone(),
            filter: Filter::default(),
            kinds: Vec::new(),
            after: None,
        }
    }
}

impl ChangeQuery {
    /// Includes only instances whose id begins with `prefix`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.filter.prefix = prefix.into();
        self
    }

    /// Includes only instances of the type with this stored name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.filter.name = Some(name.into());
        self
    }

    /// Includes only changes of this kind. Several kinds are alternatives. The hub notes only the kinds that have
    /// a watcher.
    pub fn kind(mut self, kind: ChangeKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Continues after a batch with this position, which an earlier reader of the same kinds received. The feed keeps
    /// the newest changes, and continues for one minute without a reader.
    pub fn after(mut self, position: impl Into<String>) -> Self {
        self.after = Some(position.into());
        self
    }

    /// Begins to receive the changes that become durable from now on.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`] if the hub is closed, of kind [`ErrorKind::ReadOnly`] for the
    /// client of an inspected, stopped hub, or of kind [`ErrorKind::InvalidId`] if [`after`](Self::after) was given
    /// something else than the position of a batch.
    pub fn watch(self) -> Result<Changes> {
        let after = self.after.as_deref().map(read_position).transpose()?;
        let runtime = self.client.hub().open_feed()?;
        runtime.health()?;
        let kinds: ChangeKinds = match self.kinds.is_empty() {
            true => ChangeKind::ALL.into_iter().collect(),
            false => self.kinds.into_iter().collect(),
        };
        let watcher = runtime.feed.watch(kinds);
        // After it has begun, so that whoever serves it sees it.
        self.client.hub().note_watcher();
        let life = xxh3_64(format!("{} {}", runtime.hub, runtime.opened.0).as_bytes());
        let newest = watcher.position();
        let (position, is_lost) = match after {
            Some((known, position)) if known == life => (position.min(newest), false),
            Some(_) => (newest, true),
            None => (newest, false),
        };
        Ok(Changes {
            watcher,
            filter: self.filter,
            runtime: Arc::downgrade(&runtime),
            life,
            position,
            is_lost,
            pace: None,
        })
    }
}

/// Reads the life and the number of a position.
fn read_position(text: &str) -> Result<(u64, u64)> {
    let parts = text.split_once('-');
    let position =
        parts.and_then(|(life, number)| Some((u64::from_str_radix(life, 16).ok()?, number.parse::<u64>().ok()?)));
    position.ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        Error::new(
            ErrorKind::InvalidId,
            format!("`{}` is not the position of a batch of changes", shown.escape_debug()),
        )
    })
}

impl Changes {
    /// Returns the position after the last batch.
    pub fn position(&self) -> String {
        format!("{:016x}-{}", self.life, self.position)
    }

    /// Waits for the next changes. The changes of a moment arrive together, and two batches are at least 200
    /// milliseconds apart. A batch without changes tells of a gap.
    ///
    /// Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`] if the hub is closed, or the error that poisoned the hub.
    pub async fn next(&mut self) -> Result<ChangeBatch> {
        loop {
            if let Some(pace) = &mut self.pace {
                pace.as_mut().await;
            }
            let filter = &self.filter;
            let part = self.watcher.read(self.position, |change| filter.wants(change));
            let has_gap = std::mem::take(&mut self.is_lost) || part.has_gap;
            self.position = part.next;
            // A reader that is behind does not wait.
            self.pace = (!part.is_full).then(|| Box::pin(sleep(PACE)));
            if has_gap || !part.changes.is_empty() {
                return Ok(ChangeBatch {
                    changes: part.changes,
                    has_gap,
                    position: self.position(),
                });
            }
            if !part.is_full && !self.watcher.wait(self.position).await {
                return Err(self
                    .runtime
                    .upgrade()
                    .and_then(|runtime| runtime.failure())
                    .unwrap_or_else(closed));
            }
        }
    }
}

impl Filter {
    fn wants(&self, change: &NotedChange) -> bool {
        change.id.as_str().starts_with(&self.prefix) && self.name.as_ref().is_none_or(|name| name == change.name())
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
