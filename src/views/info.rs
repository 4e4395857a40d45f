//! Information about one orchestration.

use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};
use crate::failure::Failure;
use crate::id::InstanceId;
use crate::model::orchestration::{
    EndRecord, OrchestrationRecord, OrchestrationStatus, StartRecord, Stopped, Unregistered, UnregisteredKind,
};
use crate::store::Reader;
use crate::views::view::View;
use crate::views::{json, orchestrations};
use crate::{model, schema};

/// Information about one orchestration.
///
/// Payloads are JSON text. [`input_as`](Self::input_as), [`output_as`](Self::output_as) and
/// [`custom_status_as`](Self::custom_status_as) decode them.
///
/// ```
/// use abide::OrchestrationStatus;
/// use abide::prelude::*;
///
/// #[derive(Serialize, Deserialize)]
/// struct Progress {
///     done: u32,
///     of: u32,
/// }
///
/// #[orchestration]
/// async fn import(ctx: OrchestrationContext, files: u32) -> Result<u32, Failure> {
///     ctx.set_custom_status(Progress { done: 0, of: files });
///     ctx.wait_for_external_event::<()>("go").await?;
///     Ok(files)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().orchestration::<import>().open().await?;
/// let run = hub.client().start::<import>(3).await?;
/// if let Some(info) = run.status().await? {
///     assert_eq!(info.status, OrchestrationStatus::Running);
///     assert_eq!(info.input_as::<u32>()?, Some(3));
///     assert_eq!(info.output_as::<u32>()?, None);
///     let progress = info.custom_status_as::<Progress>()?;
///     assert!(progress.is_some_and(|progress| progress.done < progress.of));
/// }
/// # hub.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct OrchestrationInfo {
    /// The stored name of its type.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The version that it runs. Empty if it has no version.
    pub version: String,
    /// Its status.
    pub status: OrchestrationStatus,
    /// The reason why it cannot continue although it has not ended.
    pub stopped: Option<Stopped>,
    /// The entity types, activities and orchestrations that it waits for and that are not registered with the hub. It
    /// continues under a build that registers them.
    pub unregistered: Vec<Unregistered>,
    /// The id of its execution. Each continue-as-new, restart, rewind and reuse of its id changes it. A rewind does not
    /// change [`OrchestrationContext::execution_id`](crate::OrchestrationContext::execution_id).
    pub execution_id: String,
    /// The id of the orchestration that waits for it.
    pub parent: Option<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The trace that it belongs to, in the format of the W3C Trace Context header `traceparent`.
    pub trace_parent: Option<String>,
    /// The data that tracing systems add to the trace, in the format of the header `tracestate`.
    pub trace_state: Option<String>,
    /// The time at which it was started. Later executions keep this time, even after a restart. A new start under its
    /// id does not.
    #[serde(serialize_with = "json::time")]
    pub created: SystemTime,
    /// The time of its last change.
    #[serde(serialize_with = "json::time")]
    pub last_change: SystemTime,
    /// The input of its execution as JSON, whether or not the execution has begun. `None` only if the input was not
    /// requested.
    #[serde(serialize_with = "json::optional_payload")]
    pub input: Option<String>,
    /// Its output as JSON, if it is `Completed`.
    #[serde(serialize_with = "json::optional_payload")]
    pub output: Option<String>,
    /// The error that it returned, if it is `Failed`.
    pub failure: Option<Failure>,
    /// The reason why it was ended, if it is `Terminated` or `Canceled`.
    pub reason: Option<String>,
    /// Its custom status as JSON.
    #[serde(serialize_with = "json::optional_payload")]
    pub custom_status: Option<String>,
    /// Number of events and commands in the history of its execution.
    pub history_events: u64,
    /// Size of these events and commands in bytes.
    pub history_bytes: u64,
}

impl OrchestrationInfo {
    /// Decodes the input of its execution. Returns `None` if the input was not requested.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Serialization`] if the input does not decode into `T`.
    pub fn input_as<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.decode("input", self.input.as_deref())
    }

    /// Decodes its output. Returns `None` if it is not `Completed`, or if the output was not requested.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Serialization`] if the output does not decode into `T`.
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.decode("output", self.output.as_deref())
    }

    /// Decodes its custom status. Returns `None` if it has none, or if the custom status was not requested.
    ///
    /// # Errors
    /// Returns an error of kind [`ErrorKind::Serialization`] if the custom status does not decode into `T`.
    pub fn custom_status_as<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        self.decode("custom status", self.custom_status.as_deref())
    }

    fn decode<T: DeserializeOwned>(&self, what: &str, json: Option<&str>) -> Result<Option<T>> {
        let Some(json) = json else { return Ok(None) };
        serde_json::from_str(json).map(Some).map_err(|reason| {
            let text = format!(
                "the {what} of `{}` does not decode into `{}`: {reason}",
                self.id,
                std::any::type_name::<T>()
            );
            Error::new(ErrorKind::Serialization, text).with_source(reason)
        })
    }

    /// Returns the total size of its texts in bytes. Each text may be large.
    pub(crate) fn text_bytes(&self) -> usize {
        let texts = [
            &self.input,
            &self.output,
            &self.reason,
            &self.custom_status,
            &self.parent,
            &self.trace_parent,
            &self.trace_state,
        ];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let tags: usize = self.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
        let failure = self.failure.as_ref().map_or(0, Failure::bytes);
        let stopped = self.stopped.as_ref().map_or(0, |stopped| stopped.message.len());
        self.name.len() + self.id.len() + self.version.len() + texts + tags + failure + stopped
    }
}

/// The larger rows of an orchestration that a read includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payloads {
    pub(crate) input: bool,
    /// Output or failure, and custom status.
    pub(crate) others: bool,
}

/// Reads the information about one orchestration.
pub(crate) fn read(view: View<'_>, id: &InstanceId, payloads: Payloads) -> Result<Option<OrchestrationInfo>> {
    match record(view, id)? {
        Some(record) => describe(view.reader, view.partitions, id, record, payloads).map(Some),
        None => Ok(None),
    }
}

/// Returns the start of an orchestration as it was requested, or `None` if there is no such orchestration.
pub(crate) fn start(reader: &dyn Reader, partitions: u16, id: &InstanceId) -> Result<Option<StartRecord>> {
    let partition = id.partition(partitions);
    match orchestrations::record(reader, partition, id)? {
        Some(record) => orchestrations::start_of(reader, partition, id, &record).map(Some),
        None => Ok(None),
    }
}

/// Returns the row of one orchestration. Its turns may be ahead of the row.
pub(crate) fn record(view: View<'_>, id: &InstanceId) -> Result<Option<OrchestrationRecord>> {
    match view
        .reader
        .get(&schema::orchestration::key(id.partition(view.partitions), id))?
    {
        Some(row) => decode(view, &row).map(Some),
        None => Ok(None),
    }
}

/// Decodes the row of an orchestration and leaves out the names that this build has registered. The row lists the names
/// that an earlier build lacked until the step ends.
pub(crate) fn decode(view: View<'_>, row: &[u8]) -> Result<OrchestrationRecord> {
    let mut record: OrchestrationRecord = model::decode(row, "orchestration")?;
    if let Some(live) = view.live {
        record.unregistered.retain(|(_, on)| match on.kind {
            UnregisteredKind::Activity => !live.has_activity(&on.name),
            UnregisteredKind::Entity => !live.has_entity(&on.name),
            UnregisteredKind::Orchestration => true,
        });
    }
    Ok(record)
}

/// Adds the data of other rows to the row of an orchestration.
pub(crate) fn describe(
    reader: &dyn Reader,
    partitions: u16,
    id: &InstanceId,
    mut record: OrchestrationRecord,
    payloads: Payloads,
) -> Result<OrchestrationInfo> {
    let partition = id.partition(partitions);
    orchestrations::catch_up(reader, partition, id, &mut record)?;
    let input = match payloads.input {
        true => orchestrations::start_of(reader, partition, id, &record)?.input,
        false => Vec::new(),
    };
    let mut info = OrchestrationInfo {
        id: id.as_str().to_owned(),
        name: record.name,
        version: record.version,
        status: record.status,
        stopped: record.stopped,
        unregistered: record.unregistered.into_iter().map(|(_, on)| on).collect(),
        execution_id: record.execution.to_string(),
        parent: record.parent.map(|parent| parent.instance.to_string()),
        tags: record.tags,
        trace_parent: record.trace.as_ref().map(ToString::to_string),
        trace_state: record.trace.as_ref().and_then(|trace| trace.state()).map(str::to_owned),
        created: record.created.into(),
        last_change: record.changed.into(),
        input: None,
        output: None,
        failure: None,
        reason: None,
        custom_status: None,
        history_events: record.events,
        history_bytes: record.bytes,
    };
    if payloads.input {
        info.input = Some(json::text(input));
    }
    if payloads.others
        && record.status.is_terminal()
        && let Some(row) = reader.get(&schema::orchestration::end_key(partition, id))?
    {
        match model::decode(&row, "end of an orchestration")? {
            EndRecord::Completed(output) => info.output = Some(json::text(output)),
            EndRecord::Failed(failure) => info.failure = Some(failure),
            EndRecord::Ended(reason) => info.reason = Some(reason),
        }
    }
    if payloads.others && record.has_custom_status {
        info.custom_status = reader
            .get(&schema::orchestration::custom_status_key(partition, id))?
            .map(json::text);
    }
    Ok(info)
}
