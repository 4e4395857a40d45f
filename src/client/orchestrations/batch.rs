//! One action on many orchestrations.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::manage::give;
use crate::client::orchestrations::failures::{FailureKind, failure};
use crate::client::orchestrations::{OrchestrationQuery, to_purge};
use crate::client::submit::Submission;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::shortened;
use crate::id::{ExecutionId, InstanceId};
use crate::model::orchestration::{OrchestrationRecord, Order};
use crate::time::Timestamp;

/// Number of concurrent actions: enough to share a sync, too few to crowd out the other clients of the hub.
const AT_ONCE: usize = 256;

/// Maximum size of all copies of the texts of an action, in bytes.
const COPIED_BYTES: usize = 16 << 20;

/// Maximum size of a text in the report, in bytes.
const TEXT_BYTES: usize = 1 << 10;

/// The execution of an orchestration that a search has found, and the time of its last change.
type Seen = (ExecutionId, Timestamp);

/// Maximum number of errors in a report.
const MOST_ERRORS: usize = 100;

/// An action on each of many orchestrations. See [`OrchestrationQuery::apply`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchAction {
    /// Terminates the orchestration and its sub-orchestrations.
    Terminate {
        /// The reason.
        reason: String,
    },
    /// Suspends it.
    Suspend {
        /// The reason.
        reason: String,
    },
    /// Resumes it, if it is suspended or stopped.
    Resume {
        /// The reason.
        reason: String,
    },
    /// Rewinds it to before its failure.
    Rewind {
        /// The reason.
        reason: String,
    },
    /// Restarts it under its id, if it has ended.
    Restart,
    /// Deletes it, if it has ended.
    Purge,
    /// Raises an event.
    RaiseEvent {
        /// The name of the event.
        name: String,
        /// The payload as JSON.
        payload: String,
    },
}

/// An action on all matching orchestrations. Created by [`OrchestrationQuery::apply`].
#[must_use = "a batch does nothing until it is awaited"]
pub struct Batch {
    query: OrchestrationQuery,
    action: BatchAction,
    error_type: Option<String>,
    variant: Option<String>,
    ids: Option<Vec<String>>,
    progress: BatchProgress,
}

/// The progress of a [`Batch`]. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BatchProgress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    report: Mutex<BatchReport>,
    is_canceled: AtomicBool,
}

/// What a [`Batch`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BatchReport {
    /// The number of orchestrations that were found so far.
    pub matched: u64,
    /// The number of orchestrations to which the action was applied.
    pub succeeded: u64,
    /// The number of orchestrations to which the action does not apply, because of their status, or because they are
    /// gone.
    pub skipped: u64,
    /// The number of orchestrations for which the action failed.
    pub failed: u64,
    /// The errors of the first hundred of these.
    pub errors: Vec<BatchError>,
    /// True if the batch was canceled before it was done.
    #[serde(rename = "canceled")]
    pub is_canceled: bool,
}

/// The error of one orchestration of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct BatchError {
    /// The id of the orchestration.
    #[serde(rename = "instanceId")]
    pub id: String,
    /// The message of the error.
    pub message: String,
}

impl OrchestrationQuery {
    /// Applies an action to each matching orchestration.
    ///
    /// The batch reads page by page while it acts, so it may or may not include orchestrations that begin to match
    /// while it runs. It is not durable: if the process ends, the batch ends, and the orchestrations that it has
    /// reached keep what was done to them. Each action is idempotent enough to run the batch again, except for
    /// [`RaiseEvent`](BatchAction::RaiseEvent).
    ///
    /// ```
    /// use abide::client::BatchAction;
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
    /// let client = hub.client();
    /// for n in 0..3 {
    ///     client.start::<order>("lamp".into()).instance_id(format!("order-{n}")).await?;
    /// }
    /// let reason = "the shop is closed".to_owned();
    /// let report = client.orchestrations().prefix("order-").apply(BatchAction::Terminate { reason }).await?;
    /// assert_eq!((report.matched, report.succeeded), (3, 3));
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn apply(self, action: BatchAction) -> Batch {
        Batch {
            query: self,
            action,
            error_type: None,
            variant: None,
            ids: None,
            progress: BatchProgress::default(),
        }
    }
}

impl Batch {
    /// Includes only orchestrations that failed with an error of this type.
    pub fn error_type(mut self, error_type: impl Into<String>) -> Self {
        self.error_type = Some(error_type.into());
        self
    }

    /// Includes only orchestrations that failed with this variant of an error. See
    /// [`FailureGroup::variant`](crate::client::FailureGroup::variant).
    pub fn error_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Applies the action to the orchestrations with these ids, without a search. The query is not used.
    #[cfg(feature = "http")]
    pub(crate) fn only(mut self, ids: Vec<String>) -> Self {
        self.ids = Some(ids);
        self
    }

    /// Returns the progress of the batch, which can be read and canceled while the batch runs.
    pub fn progress(&self) -> BatchProgress {
        self.progress.clone()
    }

    async fn run(mut self) -> Result<BatchReport> {
        // An action that is refused for every orchestration is refused at once.
        self.action.check()?;
        let done = match self.ids.take() {
            Some(ids) => self.apply_to(ids).await,
            None => self.apply_to_all().await,
        };
        done.map(|()| self.progress.report())
    }

    async fn apply_to(&self, ids: Vec<String>) -> Result<()> {
        self.progress.report_mut().matched = ids.len() as u64;
        for ids in ids.chunks(self.action.at_once()) {
            let targets = ids.iter().map(|id| (id.clone(), None));
            self.give_some(targets.collect()).await?;
        }
        Ok(())
    }

    async fn apply_to_all(&mut self) -> Result<()> {
        loop {
            let found = self.find().await?;
            self.progress.report_mut().matched += found.0.len() as u64;
            for some in found.0.chunks(self.action.at_once()) {
                let seen = |record: &OrchestrationRecord| Some((record.execution, record.changed));
                let targets = some.iter().map(|(id, record)| (id.to_string(), seen(record)));
                self.give_some(targets.collect()).await?;
            }
            match found.1 {
                Some(next) if !self.progress.is_canceled() => self.query.after = Some(next),
                Some(_) => {
                    self.progress.report_mut().is_canceled = true;
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    /// Returns the orchestrations of the next page, and its cursor.
    async fn find(&self) -> Result<(Vec<(InstanceId, OrchestrationRecord)>, Option<String>)> {
        let (query, error_type, variant) = (self.query.clone(), self.error_type.clone(), self.variant.clone());
        let is_wanted = move |kind: FailureKind| {
            error_type.as_ref().is_none_or(|wanted| *wanted == kind.error_type)
                && (variant.is_none() || variant == kind.variant)
        };
        let selects_failures = self.error_type.is_some() || self.variant.is_some();
        let client = self.query.client.clone();
        client
            .on_blocking_thread(move |view| {
                let page = query.read(view)?;
                let rows = page.rows.into_iter().filter_map(to_purge);
                let mut found = Vec::new();
                for ((_, id), record) in rows {
                    let matches = !selects_failures
                        || failure(view, &id, Some(record.clone()))?
                            .is_some_and(|(_, failure)| is_wanted(FailureKind::of(&failure)));
                    if matches {
                        found.push((id, record));
                    }
                }
                Ok((found, page.next))
            })
            .await
    }

    /// Gives the orders to their orchestrations, concurrently.
    async fn give_some(&self, targets: Vec<(String, Option<Seen>)>) -> Result<()> {
        if self.progress.is_canceled() {
            self.progress.report_mut().is_canceled = true;
            return Ok(());
        }
        let client = &self.query.client;
        let tokio = client.runtime()?.tokio.clone();
        let mut given = JoinSet::new();
        let action = Arc::new(self.action.clone());
        for (id, seen) in targets {
            let (client, action) = (client.clone(), Arc::clone(&action));
            let give = async move {
                let order = action.order(seen);
                let given = match InstanceId::orchestration(&id) {
                    Ok(instance) => give(client, Submission::order(instance, order)).await,
                    Err(error) => Err(error),
                };
                (id, given)
            };
            given.spawn_on(give, &tokio);
        }
        while let Some(ended) = given.join_next().await {
            let (id, given) = ended.map_err(|error| {
                Error::new(ErrorKind::Closed, "the tokio runtime is shutting down").with_source(error)
            })?;
            self.progress.note(id, given)?;
        }
        Ok(())
    }
}

impl BatchAction {
    fn check(&self) -> Result<()> {
        match self {
            Self::RaiseEvent { name, payload } => {
                crate::id::check_name("event", name)?;
                serde_json::from_str::<&serde_json::value::RawValue>(payload)
                    .map(drop)
                    .map_err(|error| {
                        Error::new(
                            ErrorKind::InvalidArguments,
                            format!("the payload of the event `{name}` is not JSON: {error}"),
                        )
                    })
            }
            _ => Ok(()),
        }
    }

    /// Returns the number of concurrent actions, each of which has a copy of the texts of the action.
    fn at_once(&self) -> usize {
        let bytes = match self {
            Self::Terminate { reason }
            | Self::Suspend { reason }
            | Self::Resume { reason }
            | Self::Rewind { reason } => reason.len(),
            Self::RaiseEvent { payload, .. } => payload.len(),
            Self::Restart | Self::Purge => 0,
        };
        (COPIED_BYTES / bytes.max(1)).clamp(1, AT_ONCE)
    }

    /// Returns the order for an orchestration, with its state if it was found by a search.
    fn order(&self, seen: Option<Seen>) -> Order {
        match self.clone() {
            Self::Terminate { reason } => Order::Terminate { reason, children: true },
            Self::Suspend { reason } => Order::Suspend { reason },
            Self::Resume { reason } => Order::Resume { reason },
            Self::Rewind { reason } => Order::Rewind { reason, start: None },
            Self::Restart => Order::Restart,
            Self::Purge => Order::Purge { children: false, seen },
            Self::RaiseEvent { name, payload } => Order::Raise {
                name,
                payload: payload.into_bytes(),
                keep_until: None,
            },
        }
    }
}

impl BatchProgress {
    /// Returns what the batch has done so far.
    pub fn report(&self) -> BatchReport {
        self.report_mut().clone()
    }

    /// Cancels the batch. Actions that have begun are completed.
    pub fn cancel(&self) {
        self.0.is_canceled.store(true, Ordering::Relaxed);
    }

    fn is_canceled(&self) -> bool {
        self.0.is_canceled.load(Ordering::Relaxed)
    }

    fn report_mut(&self) -> MutexGuard<'_, BatchReport> {
        self.0.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the result of one action.
    ///
    /// # Errors
    /// Returns the error of the hub after which no action can succeed.
    fn note(&self, id: String, given: Result<()>) -> Result<()> {
        let mut report = self.report_mut();
        match given {
            Ok(()) => report.succeeded += 1,
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::WrongState | ErrorKind::Ended => report.skipped += 1,
                ErrorKind::ReadOnly => return Err(error),
                kind if kind.ends_hub() => return Err(error),
                _ => {
                    report.failed += 1;
                    if report.errors.len() < MOST_ERRORS {
                        let text = |text: &str| shortened(text, TEXT_BYTES).into_owned();
                        report.errors.push(BatchError {
                            id: text(&id),
                            message: text(&error.to_string()),
                        });
                    }
                }
            },
        }
        Ok(())
    }
}

impl IntoFuture for Batch {
    type Output = Result<BatchReport>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<BatchReport>> + Send>>;

    /// Runs the batch.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::InvalidArguments`] or [`ErrorKind::InvalidId`] if the event is invalid, or
    /// any [hub error](crate::Error) that keeps the batch from continuing. Errors of single orchestrations are part of
    /// the report.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The concurrent actions share a limit on the copies of their texts. An action without texts has no such limit.
    #[test]
    fn large_texts_reduce_the_number_of_concurrent_actions() {
        let raise = |bytes| BatchAction::RaiseEvent {
            name: "go".to_owned(),
            payload: "x".repeat(bytes),
        };
        assert_eq!(BatchAction::Purge.at_once(), AT_ONCE);
        assert_eq!(raise(0).at_once(), AT_ONCE);
        assert_eq!(raise(COPIED_BYTES / AT_ONCE).at_once(), AT_ONCE);
        assert_eq!(raise(COPIED_BYTES / 4).at_once(), 4);
        assert_eq!(raise(2 * COPIED_BYTES).at_once(), 1);
        let reason = "x".repeat(COPIED_BYTES / 4);
        for action in [
            BatchAction::Terminate { reason: reason.clone() },
            BatchAction::Suspend { reason: reason.clone() },
            BatchAction::Resume { reason: reason.clone() },
            BatchAction::Rewind { reason },
        ] {
            assert_eq!(action.at_once(), 4);
        }
    }

    /// A report contains the first hundred errors, each shortened, and counts all of them.
    #[test]
    fn a_report_is_bounded() {
        let progress = BatchProgress::default();
        for n in 0..2 * MOST_ERRORS {
            let error = Error::new(ErrorKind::Overloaded, "x".repeat(10 * TEXT_BYTES));
            progress
                .note(format!("{n}{}", "i".repeat(10 * TEXT_BYTES)), Err(error))
                .unwrap();
        }
        let report = progress.report();
        assert_eq!(
            (report.failed as usize, report.errors.len()),
            (2 * MOST_ERRORS, MOST_ERRORS)
        );
        for (n, error) in report.errors.iter().enumerate() {
            assert!(error.id.starts_with(&n.to_string()));
            assert!(error.id.len() <= TEXT_BYTES && error.message.len() <= TEXT_BYTES);
        }
    }
}
