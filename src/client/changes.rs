//! The feed of durable changes.

use std::fmt;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::client::handle::Client;
use crate::engine::{ChangeKind, InstanceChange};
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::{Watcher, closed};

/// Minimum time between two batches. Changes that follow each other quickly arrive together.
const PACE: Duration = Duration::from_millis(200);

/// The feed of the changes of instances that have become durable. Created by [`Client::changes`].
///
/// The feed is bounded: a reader who is too slow misses changes and learns how many. It is meant for views of a hub,
/// which then read again what they show. It is not a queue.
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
/// let mut changes = client.changes()?.prefix("order-").kind(ChangeKind::Ended);
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
    /// Tells positions of this life of the hub from those of other lives.
    life: u64,
    position: u64,
    /// True if the reader comes from another life of the hub.
    is_lost: bool,
    prefix: String,
    name: Option<String>,
    /// All kinds if empty.
    kinds: Vec<ChangeKind>,
    pace: Option<tokio::time::Instant>,
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
    /// The position after these changes, for [`Changes::after`].
    pub position: String,
}

impl Client {
    /// Begins to receive the changes that become durable from now on. See [`Changes`] for an example.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Closed`] if the hub is closed, or of kind [`ErrorKind::ReadOnly`] for the
    /// client of an inspected, stopped hub.
    pub fn changes(&self) -> Result<Changes> {
        let runtime = self.runtime()?;
        let watcher = runtime.feed.watch();
        Ok(Changes {
            position: watcher.position(),
            watcher,
            life: xxh3_64(format!("{} {}", runtime.hub, runtime.opened.0).as_bytes()),
            is_lost: false,
            prefix: String::new(),
            name: None,
            kinds: Vec::new(),
            pace: None,
        })
    }
}

impl Changes {
    /// Includes only instances whose id begins with `prefix`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Includes only instances of the type with this stored name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Includes only changes of this kind. Several kinds are alternatives.
    pub fn kind(mut self, kind: ChangeKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Continues after a batch with this position, which an earlier reader received. The feed keeps the newest changes,
    /// and continues for one minute without a reader.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidId`] if it is not the position of a batch.
    pub fn after(mut self, position: &str) -> Result<Self> {
        let parts = position
            .split_once('-')
            .and_then(|(life, number)| Some((u64::from_str_radix(life, 16).ok()?, number.parse::<u64>().ok()?)));
        let Some((life, number)) = parts else {
            let shown: String = position.chars().take(64).collect();
            return Err(Error::new(
                ErrorKind::InvalidId,
                format!("`{}` is not the position of a batch of changes", shown.escape_debug()),
            ));
        };
        self.is_lost = life != self.life;
        if !self.is_lost {
            self.position = number.min(self.position);
        }
        Ok(self)
    }

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
    /// Returns an error of kind [`ErrorKind::Closed`] if the hub is closed.
    pub async fn next(&mut self) -> Result<ChangeBatch> {
        if let Some(pace) = self.pace {
            tokio::time::sleep_until(pace).await;
        }
        loop {
            let part = self.watcher.read(self.position, |change| self.wants(change));
            let has_gap = std::mem::take(&mut self.is_lost) || part.missed > 0;
            self.position = part.next;
            if has_gap || !part.changes.is_empty() {
                self.pace = Some(tokio::time::Instant::now() + PACE);
                return Ok(ChangeBatch {
                    changes: part.changes,
                    has_gap,
                    position: self.position(),
                });
            }
            if !self.watcher.wait(self.position).await {
                return Err(closed());
            }
        }
    }

    fn wants(&self, change: &InstanceChange) -> bool {
        change.id.starts_with(&self.prefix)
            && self.name.as_ref().is_none_or(|name| *name == change.name)
            && (self.kinds.is_empty() || self.kinds.contains(&change.kind))
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
