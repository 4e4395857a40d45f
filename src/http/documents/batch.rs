//! Documents about batches.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::client::{Batch, BatchAction};
use crate::http::batches::RunningBatch;
use crate::http::documents::time;
use crate::http::error::Problem;
use crate::http::names;
use crate::http::query::{behind, parse_time, status};
use crate::http::state::Api;
use crate::id::InstanceId;

/// Maximum number of ids in a request.
const MOST_IDS: usize = 10_000;

/// An action on many orchestrations, which are selected by `ids` or by `filter`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::http) struct BatchRequest {
    action: BatchActionName,
    /// The reason, for the actions that take one.
    reason: Option<String>,
    /// Name of the event to raise.
    event: Option<String>,
    /// Payload of the event (default: `null`).
    #[schema(value_type = Option<serde_json::Value>)]
    payload: Option<Box<RawValue>>,
    /// Ids of the orchestrations, at most 10,000.
    ids: Option<Vec<String>>,
    filter: Option<BatchFilter>,
}

/// The action of a batch.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum BatchActionName {
    Terminate,
    Suspend,
    Resume,
    Rewind,
    Restart,
    Purge,
    RaiseEvent,
}

/// A filter of orchestrations. An empty filter selects all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BatchFilter {
    /// Only orchestrations with one of these statuses.
    #[serde(default)]
    runtime_status: Vec<String>,
    /// Only orchestrations whose id has this prefix.
    instance_id_prefix: Option<String>,
    /// Only orchestrations of the type with this stored name.
    name: Option<String>,
    /// Only orchestrations started at or after this time.
    created_time_from: Option<String>,
    /// Only orchestrations started at or before this time.
    created_time_to: Option<String>,
    /// Only orchestrations with all of these tags.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// Only orchestrations that cannot continue although they have not ended.
    #[serde(default)]
    stopped: bool,
    /// Only orchestrations that wait for something that is not registered with the hub.
    #[serde(default)]
    unregistered: bool,
    /// Only orchestrations that failed with an error of this type.
    error_type: Option<String>,
    /// Only orchestrations that failed with this variant of an error.
    error_variant: Option<String>,
}

/// A batch and its progress.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct BatchDocument {
    id: String,
    /// Name of the action.
    action: &'static str,
    /// `running`, `completed`, `canceled` or `failed`.
    state: &'static str,
    /// Number of orchestrations found so far.
    matched: u64,
    /// Number of orchestrations to which the action was applied.
    succeeded: u64,
    /// Number of orchestrations to which the action does not apply, because of their status, or because they are gone.
    skipped: u64,
    /// Number of orchestrations for which the action failed.
    failed: u64,
    /// Errors of the first hundred of these.
    errors: Vec<BatchErrorDocument>,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(required = true, format = DateTime)]
    ended_at: Option<String>,
    /// The error that ended the batch, if its state is `failed`.
    #[schema(required = true)]
    message: Option<String>,
}

/// The error of one orchestration of a batch.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BatchErrorDocument {
    instance_id: String,
    message: String,
}

impl BatchRequest {
    /// Parses the body of a request.
    ///
    /// # Errors
    /// Returns a problem with status 400 if it is not such a document.
    pub(in crate::http) fn parse(json: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(json)
            .map_err(|error| Problem::bad_request("InvalidBatch", format!("the body is not a batch: {error}")))
    }

    /// Returns the name of the action and the batch.
    ///
    /// # Errors
    /// Returns a problem with status 400 if the request does not select orchestrations in exactly one way, or if a part
    /// of it is invalid.
    pub(in crate::http) fn prepare(self, api: &Api) -> Result<(&'static str, Batch), Problem> {
        let (name, action) = self.action()?;
        let all = api.client.orchestrations();
        let batch = match (self.ids, self.filter) {
            (Some(ids), None) if ids.len() <= MOST_IDS => {
                for id in &ids {
                    InstanceId::orchestration(id)?;
                }
                all.apply(action).only(ids)
            }
            (Some(ids), None) => {
                return Err(wrong(format!(
                    "it has {} ids, but at most {MOST_IDS} are allowed",
                    ids.len()
                )));
            }
            (None, Some(filter)) => filter.prepare(api, action)?,
            _ => {
                return Err(wrong(
                    "it needs either `ids` or `filter`; an empty `filter` selects all".to_owned(),
                ));
            }
        };
        Ok((name, batch))
    }

    fn action(&self) -> Result<(&'static str, BatchAction), Problem> {
        let reason = || self.reason.clone().unwrap_or_default();
        Ok(match self.action {
            BatchActionName::Terminate => ("terminate", BatchAction::Terminate { reason: reason() }),
            BatchActionName::Suspend => ("suspend", BatchAction::Suspend { reason: reason() }),
            BatchActionName::Resume => ("resume", BatchAction::Resume { reason: reason() }),
            BatchActionName::Rewind => ("rewind", BatchAction::Rewind { reason: reason() }),
            BatchActionName::Restart => ("restart", BatchAction::Restart),
            BatchActionName::Purge => ("purge", BatchAction::Purge),
            BatchActionName::RaiseEvent => {
                let Some(name) = self.event.clone() else {
                    return Err(wrong("`raiseEvent` needs the name of the `event`".to_owned()));
                };
                let payload = self.payload.as_ref().map_or("null", |payload| payload.get()).to_owned();
                ("raiseEvent", BatchAction::RaiseEvent { name, payload })
            }
        })
    }
}

impl BatchFilter {
    fn prepare(self, api: &Api, action: BatchAction) -> Result<Batch, Problem> {
        let mut wanted = api.client.orchestrations();
        for text in &self.runtime_status {
            let known = status(text).ok_or_else(|| wrong(format!("`{}` is not a status", text.escape_debug())))?;
            wanted = wanted.status(known);
        }
        let moment =
            |text: &str| parse_time(text).ok_or_else(|| wrong(format!("`{}` is not a time", text.escape_debug())));
        if let Some(text) = &self.created_time_from {
            wanted = wanted.created_from(moment(text)?);
        }
        if let Some(text) = &self.created_time_to {
            wanted = wanted.created_to(behind(moment(text)?));
        }
        if let Some(prefix) = self.instance_id_prefix {
            wanted = wanted.prefix(prefix);
        }
        if let Some(name) = self.name {
            wanted = wanted.name(names::orchestration(api, &name)?);
        }
        for (name, value) in self.tags {
            wanted = wanted.tag(name, value);
        }
        if self.stopped {
            wanted = wanted.stopped();
        }
        if self.unregistered {
            wanted = wanted.unregistered();
        }
        let mut batch = wanted.apply(action);
        if let Some(error_type) = self.error_type {
            batch = batch.error_type(error_type);
        }
        if let Some(variant) = self.error_variant {
            batch = batch.error_variant(variant);
        }
        Ok(batch)
    }
}

impl From<&RunningBatch> for BatchDocument {
    fn from(batch: &RunningBatch) -> Self {
        // The end is read first, so that a report of a batch that has ended is complete.
        let end = batch.end.get();
        let report = batch.progress.report();
        let state = match end {
            None => "running",
            Some(end) if end.error.is_some() => "failed",
            Some(_) if report.is_canceled => "canceled",
            Some(_) => "completed",
        };
        let errors = report.errors.into_iter().map(|error| BatchErrorDocument {
            instance_id: error.id,
            message: error.message,
        });
        Self {
            id: batch.id.clone(),
            action: batch.action,
            state,
            matched: report.matched,
            succeeded: report.succeeded,
            skipped: report.skipped,
            failed: report.failed,
            errors: errors.collect(),
            started_at: time(batch.started),
            ended_at: end.map(|end| time(end.time)),
            message: end.and_then(|end| end.error.clone()),
        }
    }
}

fn wrong(why: String) -> Problem {
    Problem::bad_request("InvalidBatch", format!("the batch is invalid: {why}"))
}
