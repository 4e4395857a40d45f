//! Documents about orchestrations.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::client::OrchestrationInfo;
use crate::http::documents::{FailureDocument, HistoryEventDocument, Raw, time};
use crate::http::error::Problem;
use crate::model::orchestration::{Stopped, Unregistered};

/// Links to query and manage a started orchestration.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct CheckStatus {
    /// Id of the orchestration.
    pub(in crate::http) id: String,
    /// `GET`: returns the status.
    pub(in crate::http) status_query_get_uri: String,
    /// `POST`: raises an event. Replace `{eventName}` by its name.
    pub(in crate::http) send_event_post_uri: String,
    /// `POST`: terminates the orchestration. Replace `{text}` by the reason.
    pub(in crate::http) terminate_post_uri: String,
    /// `POST`: rewinds the orchestration to before its failure.
    pub(in crate::http) rewind_post_uri: String,
    /// `DELETE`: purges the orchestration.
    pub(in crate::http) purge_history_delete_uri: String,
    /// `POST`: restarts the orchestration.
    pub(in crate::http) restart_post_uri: String,
    /// `POST`: suspends the orchestration.
    pub(in crate::http) suspend_post_uri: String,
    /// `POST`: resumes the orchestration.
    pub(in crate::http) resume_post_uri: String,
}

/// Status of an orchestration. Fields that Azure's API lacks are omitted if they are empty.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct StatusDocument {
    /// Stored name of the orchestration's type.
    name: String,
    instance_id: String,
    /// `Pending`, `Running`, `Completed`, `Failed`, `Terminated`, `Canceled`, `ContinuedAsNew` or `Suspended`.
    runtime_status: &'static str,
    /// Input of the execution; `null` if not requested.
    #[schema(required = true)]
    input: Option<Raw>,
    /// Custom status that the orchestration has set.
    #[schema(required = true)]
    custom_status: Option<Raw>,
    /// Output; the message of the error if it failed, or the reason if it was terminated or canceled.
    #[schema(required = true)]
    output: Option<Raw>,
    /// Time of the first start.
    #[schema(format = DateTime)]
    created_time: String,
    /// Time of the last change.
    #[schema(format = DateTime)]
    last_updated_time: String,
    /// History, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_events: Option<Vec<HistoryEventDocument>>,
    /// The full error, if it failed. Azure's API has neither this field nor those that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureDocument>,
    /// Reason why it cannot proceed although it has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<StoppedDocument>,
    /// Unregistered activities, entities and orchestrations that it waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unregistered: Vec<UnregisteredDocument>,
    /// Version of the orchestration's code.
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    /// Tags by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    /// Trace context, in the format of the header with this name.
    #[serde(rename = "traceparent", skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
    /// State that tracing systems add to the trace, in the format of the header with this name.
    #[serde(rename = "tracestate", skip_serializing_if = "Option::is_none")]
    trace_state: Option<String>,
    /// Parent orchestration, which waits for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_instance_id: Option<String>,
    /// Id of the execution, which changes with each continue-as-new, restart and rewind.
    execution_id: String,
}

/// Reason why an orchestration cannot proceed.
#[derive(Debug, Serialize, ToSchema)]
struct StoppedDocument {
    /// Machine-readable kind.
    kind: String,
    /// Full message: what was expected, what was found, and where.
    message: String,
}

/// An unregistered type that an orchestration waits for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UnregisteredDocument {
    /// `Activity`, `Entity` or `Orchestration`.
    kind: String,
    /// Stored name, followed by the version for an orchestration.
    name: String,
    /// Sub-orchestration that waits for it, unless the orchestration itself does.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
}

/// Another input for a restart.
#[derive(Debug, ToSchema)]
pub(in crate::http) struct RestartRequest {
    /// The input, which may be `null` (default: that of the last execution).
    #[schema(value_type = Option<serde_json::Value>)]
    input: Option<Box<RawValue>>,
}

impl RestartRequest {
    /// Parses the body of a request. An empty body is `null`, and has no input.
    ///
    /// # Errors
    /// Returns a problem with status 400 if it is not such a document.
    pub(in crate::http) fn parse(json: &[u8]) -> Result<Self, Problem> {
        // Unlike a field that is absent, one that is `null` is an input.
        type Fields = BTreeMap<String, Box<RawValue>>;
        let wrong = |why: &dyn std::fmt::Display| {
            let text = format!("the body is not that of a restart, such as `{{\"input\": 1}}`: {why}");
            Problem::bad_request("InvalidRestart", text)
        };
        let fields: Option<Fields> = serde_json::from_slice(json).map_err(|error| wrong(&error))?;
        let mut fields = fields.unwrap_or_default();
        let input = fields.remove("input");
        match fields.keys().next() {
            None => Ok(Self { input }),
            Some(field) => Err(wrong(&format!("it has the field `{}`", field.escape_debug()))),
        }
    }

    pub(in crate::http) fn into_input(self) -> Option<String> {
        self.input.map(|input| input.get().to_owned())
    }
}

/// Number of purged orchestrations.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct InstancesDeleted {
    pub(in crate::http) instances_deleted: u64,
}

impl StatusDocument {
    pub(in crate::http) fn with_history(mut self, events: Vec<HistoryEventDocument>) -> Self {
        self.history_events = Some(events);
        self
    }
}

impl From<OrchestrationInfo> for StatusDocument {
    fn from(info: OrchestrationInfo) -> Self {
        let output = match (info.output, &info.failure, &info.reason) {
            (Some(output), ..) => Some(Raw::new(output)),
            (None, Some(failure), _) => Some(Raw::text(&failure.to_string())),
            (None, None, Some(reason)) => Some(Raw::text(reason)),
            (None, None, None) => None,
        };
        Self {
            name: info.name,
            instance_id: info.id,
            runtime_status: info.status.as_str(),
            input: info.input.map(Raw::new),
            custom_status: info.custom_status.map(Raw::new),
            output,
            created_time: time(info.created),
            last_updated_time: time(info.last_change),
            history_events: None,
            failure: info.failure.map(FailureDocument::from),
            stopped: info.stopped.map(StoppedDocument::from),
            unregistered: info.unregistered.into_iter().map(UnregisteredDocument::from).collect(),
            version: info.version,
            tags: info.tags.into_iter().collect(),
            trace_parent: info.trace_parent,
            trace_state: info.trace_state,
            parent_instance_id: info.parent,
            execution_id: info.execution_id,
        }
    }
}

impl From<Unregistered> for UnregisteredDocument {
    fn from(on: Unregistered) -> Self {
        Self {
            kind: format!("{:?}", on.kind),
            name: on.name,
            instance_id: on.instance,
        }
    }
}

impl From<Stopped> for StoppedDocument {
    fn from(stopped: Stopped) -> Self {
        Self {
            kind: format!("{:?}", stopped.kind),
            message: stopped.message,
        }
    }
}
