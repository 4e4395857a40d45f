//! What is known of one orchestration.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::SystemTime;

use serde::Serialize;

use crate::client::json;
use crate::client::orchestration::OrchestrationHandle;
use crate::client::source::View;
use crate::error::Result;
use crate::failure::Failure;
use crate::id::InstanceId;
use crate::store::records;
use crate::store::records::instance::{
    EndRecord, InstanceRecord, OrchestrationStatus, StartRecord, Stopped, Unregistered, UnregisteredKind,
};
use crate::store::{Reader, instances, keys};

/// What is known of one orchestration.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct OrchestrationInfo {
    /// The stored name of its type.
    pub name: String,
    /// Its id.
    pub id: String,
    /// The version that it runs; empty if the type has none.
    pub version: String,
    /// Where it stands.
    pub status: OrchestrationStatus,
    /// Why it cannot go on, though it has not ended.
    pub stopped: Option<Stopped>,
    /// What it waits for and nobody has registered with the hub. A fixed build that registers it goes on.
    pub unregistered: Vec<Unregistered>,
    /// The id of its execution: another one after each continue-as-new, restart, rewind and reuse of its id.
    pub execution_id: String,
    /// The id of the orchestration that waits for it.
    pub parent: Option<String>,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// The trace that it belongs to, as the header `traceparent` of W3C Trace Context.
    pub trace_parent: Option<String>,
    /// What tracing systems add to it, as the header `tracestate`.
    pub trace_state: Option<String>,
    /// When it was started. Later executions of it keep the time, also after a restart; a new start under its id does not.
    #[serde(serialize_with = "json::time")]
    pub created: SystemTime,
    /// When something last happened to it.
    #[serde(serialize_with = "json::time")]
    pub last_change: SystemTime,
    /// The input of its execution as JSON, whether that has begun or not. `None` only if the input was not asked for.
    #[serde(serialize_with = "json::optional_payload")]
    pub input: Option<String>,
    /// What it returned, as JSON, if it is `Completed`.
    #[serde(serialize_with = "json::optional_payload")]
    pub output: Option<String>,
    /// The error that it returned, if it is `Failed`.
    pub failure: Option<Failure>,
    /// Why it was ended from outside, if it is `Terminated` or `Canceled`.
    pub reason: Option<String>,
    /// What it says of itself, as JSON.
    #[serde(serialize_with = "json::optional_payload")]
    pub custom_status: Option<String>,
    /// How many events and commands the history of its execution has.
    pub history_events: u64,
    /// How many bytes they have.
    pub history_bytes: u64,
}

impl OrchestrationInfo {
    /// How many bytes its texts have, of which each may be large.
    pub(super) fn text_bytes(&self) -> usize {
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

/// Which of the larger rows of an orchestration are read along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Payloads {
    pub(super) input: bool,
    /// Output or failure, and custom status.
    pub(super) others: bool,
}

/// Reads what is known of an orchestration. Made by [`OrchestrationHandle::status`].
#[must_use = "nothing is read until this is awaited"]
pub struct Status<O> {
    handle: OrchestrationHandle<O>,
    payloads: Payloads,
}

impl<O> OrchestrationHandle<O> {
    /// Reads what is known of the orchestration; nothing if there is none of this id. All of it is of one moment.
    pub fn status(&self) -> Status<O> {
        Status {
            handle: self.clone(),
            payloads: Payloads {
                input: true,
                others: true,
            },
        }
    }
}

impl<O> Status<O> {
    /// Leaves the input out, which may be large.
    pub fn without_input(mut self) -> Self {
        self.payloads.input = false;
        self
    }

    pub(super) async fn read(self) -> Result<Option<OrchestrationInfo>> {
        let instance = self.handle.instance()?.clone();
        let source = self.handle.client.source()?;
        let info = source.snapshot(|view| read(view, &instance, self.payloads))?;
        source.durable().await?;
        Ok(info)
    }
}

impl<O: 'static> IntoFuture for Status<O> {
    type Output = Result<Option<OrchestrationInfo>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Reads.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`](crate::ErrorKind::InvalidId) if the handle's id breaks the rules, and what the hub meets.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.read())
    }
}

impl<O> fmt::Debug for Status<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Status").field(&self.handle.id()).finish()
    }
}

/// Reads what is known of one orchestration.
pub(super) fn read(view: View<'_>, id: &InstanceId, payloads: Payloads) -> Result<Option<OrchestrationInfo>> {
    match record(view, id)? {
        Some(record) => describe(view.reader, view.partitions, id, record, payloads).map(Some),
        None => Ok(None),
    }
}

/// The start of an orchestration, as it was made. `None` if there is no such orchestration.
pub(super) fn start(reader: &dyn Reader, partitions: u16, id: &InstanceId) -> Result<Option<StartRecord>> {
    let partition = id.partition(partitions);
    match instances::instance(reader, partition, id)? {
        Some(record) => instances::start_of(reader, partition, id, &record).map(Some),
        None => Ok(None),
    }
}

/// The row of one orchestration, which turns may be ahead of.
pub(super) fn record(view: View<'_>, id: &InstanceId) -> Result<Option<InstanceRecord>> {
    match view.reader.get(&keys::instance(id.partition(view.partitions), id))? {
        Some(row) => decode(view, &row).map(Some),
        None => Ok(None),
    }
}

/// Decodes the row of an orchestration, without what this build has registered: the row says what the build before lacked
/// until the step has ended.
pub(super) fn decode(view: View<'_>, row: &[u8]) -> Result<InstanceRecord> {
    let mut record: InstanceRecord = records::decode(row, "orchestration")?;
    if let Some(registry) = view.registry {
        record.unregistered.retain(|(_, on)| match on.kind {
            UnregisteredKind::Activity => registry.activity(&on.name).is_none(),
            UnregisteredKind::Entity => registry.entity(&on.name).is_none(),
            UnregisteredKind::Orchestration => true,
        });
    }
    Ok(record)
}

/// Adds to the row of an orchestration what other rows hold.
pub(super) fn describe(
    reader: &dyn Reader,
    partitions: u16,
    id: &InstanceId,
    mut record: InstanceRecord,
    payloads: Payloads,
) -> Result<OrchestrationInfo> {
    let partition = id.partition(partitions);
    instances::catch_up(reader, partition, id, &mut record)?;
    let input = match payloads.input {
        true => instances::start_of(reader, partition, id, &record)?.input,
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
        parent: record.parent.map(|parent| parent.instance),
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
        && let Some(row) = reader.get(&keys::end(partition, id))?
    {
        match records::decode(&row, "end of an orchestration")? {
            EndRecord::Completed(output) => info.output = Some(json::text(output)),
            EndRecord::Failed(failure) => info.failure = Some(failure),
            EndRecord::Ended(reason) => info.reason = Some(reason),
        }
    }
    if payloads.others && record.has_custom_status {
        info.custom_status = reader.get(&keys::custom_status(partition, id))?.map(json::text);
    }
    Ok(info)
}
