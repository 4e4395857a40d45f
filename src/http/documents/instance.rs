//! Orchestrations.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::client::OrchestrationInfo;
use crate::http::documents::{FailureDocument, HistoryEventDocument, Raw, time};
use crate::store::records::instance::{Stopped, Unregistered};

/// Where to look at an orchestration that was started, and how to manage it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct CheckStatus {
    /// The id of the orchestration.
    pub(in crate::http) id: String,
    /// `GET`: how it stands.
    pub(in crate::http) status_query_get_uri: String,
    /// `POST`: raises an event, once `{eventName}` is replaced.
    pub(in crate::http) send_event_post_uri: String,
    /// `POST`: ends it, once `{text}` is replaced by the reason.
    pub(in crate::http) terminate_post_uri: String,
    /// `POST`: begins it again from before its failure.
    pub(in crate::http) rewind_post_uri: String,
    /// `DELETE`: forgets it.
    pub(in crate::http) purge_history_delete_uri: String,
    /// `POST`: starts it once more.
    pub(in crate::http) restart_post_uri: String,
    /// `POST`: lets it rest.
    pub(in crate::http) suspend_post_uri: String,
    /// `POST`: lets it go on.
    pub(in crate::http) resume_post_uri: String,
}

/// How an orchestration stands. What Azure's API does not have is left out where there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct StatusDocument {
    /// The stored name of its type.
    name: String,
    instance_id: String,
    /// `Pending`, `Running`, `Completed`, `Failed`, `Terminated`, `Canceled`, `ContinuedAsNew` or `Suspended`.
    runtime_status: &'static str,
    /// What its execution began with; `null` if it was not asked for.
    #[schema(required = true)]
    input: Option<Raw>,
    /// What it says of itself.
    #[schema(required = true)]
    custom_status: Option<Raw>,
    /// What it returned; the text of its error if it failed, or the reason if it was ended from outside.
    #[schema(required = true)]
    output: Option<Raw>,
    /// When it was started first.
    #[schema(format = DateTime)]
    created_time: String,
    /// When something last happened to it.
    #[schema(format = DateTime)]
    last_updated_time: String,
    /// What happened to it, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    history_events: Option<Vec<HistoryEventDocument>>,
    /// The whole error, if it failed. Not in Azure's API, like what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureDocument>,
    /// Why it cannot go on, though it has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<StoppedDocument>,
    /// What it waits for that nobody has registered with the hub.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unregistered: Vec<UnregisteredDocument>,
    /// The version that it runs.
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    /// Its tags by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    /// The trace that it belongs to, as the header of this name.
    #[serde(rename = "traceparent", skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
    /// What tracing systems add to it, as the header of this name.
    #[serde(rename = "tracestate", skip_serializing_if = "Option::is_none")]
    trace_state: Option<String>,
    /// The orchestration that waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_instance_id: Option<String>,
    /// Its execution: another one after each continue-as-new, restart and rewind.
    execution_id: String,
}

/// Why an orchestration cannot go on.
#[derive(Debug, Serialize, ToSchema)]
struct StoppedDocument {
    /// One word for programs.
    kind: String,
    /// The whole story: what was expected, what was found, where.
    message: String,
}

/// Something that an orchestration waits for and that nobody has registered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UnregisteredDocument {
    /// `Activity`, `Entity` or `Orchestration`.
    kind: String,
    /// Its stored name, for an orchestration with the version behind it.
    name: String,
    /// The sub-orchestration that waits for it, if it is not the orchestration itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
}

/// How many orchestrations were purged.
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
