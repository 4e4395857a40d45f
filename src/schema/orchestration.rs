//! Orchestrations: their rows, starts, histories, ends, custom statuses and names.

use std::ops::Range;

use super::{END, Table, beginning_with, id_row, table, whole_id};
use crate::id::{ExecutionId, InstanceId, PartitionId};
use crate::model::orchestration::OrchestrationStatus;
use crate::time::Timestamp;

/// The row of an orchestration.
pub(crate) fn key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::Orchestration, id)
}

/// All orchestrations of a partition whose ids begin with `prefix`.
pub(crate) fn with_prefix(partition: PartitionId, prefix: &str) -> Range<Vec<u8>> {
    let mut key = table(partition, Table::Orchestration, prefix.len());
    key.extend_from_slice(prefix.as_bytes());
    beginning_with(key)
}

/// The start of an orchestration whose execution has no turn yet.
pub(crate) fn start_key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::Start, id)
}

/// One turn in the history of an execution.
pub(crate) fn turn_key(partition: PartitionId, id: &InstanceId, execution: ExecutionId, turn: u32) -> Vec<u8> {
    let mut key = id_row(partition, Table::History, id, 20);
    key.extend_from_slice(&execution.0);
    key.extend_from_slice(&turn.to_be_bytes());
    key
}

/// The turns of an execution whose numbers are in `turns`.
pub(crate) fn turns(
    partition: PartitionId,
    id: &InstanceId,
    execution: ExecutionId,
    turns: Range<u32>,
) -> Range<Vec<u8>> {
    turn_key(partition, id, execution, turns.start)..turn_key(partition, id, execution, turns.end)
}

/// The end of an orchestration.
pub(crate) fn end_key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::End, id)
}

/// The custom status of an orchestration.
pub(crate) fn custom_status_key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::CustomStatus, id)
}

/// An orchestration under its status and creation time.
pub(crate) fn status_key(
    partition: PartitionId,
    status: OrchestrationStatus,
    created: Timestamp,
    id: &InstanceId,
) -> Vec<u8> {
    let mut key = table(partition, Table::Status, 9 + id.as_str().len());
    key.push(status as u8);
    key.extend_from_slice(&created.0.to_be_bytes());
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// The orchestrations of a partition with this status, ordered by creation time.
pub(crate) fn with_status(partition: PartitionId, status: OrchestrationStatus) -> Range<Vec<u8>> {
    let mut key = table(partition, Table::Status, 1);
    key.push(status as u8);
    beginning_with(key)
}

/// Returns the creation time and id in the key of a status.
pub(crate) fn status_parts(key: &[u8]) -> Option<(Timestamp, &str)> {
    let created = u64::from_be_bytes(key.get(4..12)?.try_into().ok()?);
    Some((Timestamp(created), std::str::from_utf8(key.get(12..)?).ok()?))
}

/// A name and version with which orchestrations were started in a partition.
pub(crate) fn name_key(partition: PartitionId, name: &str, version: &str) -> Vec<u8> {
    let mut key = table(partition, Table::OrchestrationName, name.len() + 1 + version.len());
    key.extend_from_slice(name.as_bytes());
    key.push(END);
    key.extend_from_slice(version.as_bytes());
    key
}

/// All names and versions with which orchestrations were started in a partition.
pub(crate) fn names(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::OrchestrationName, 0))
}

/// Returns the name and version in the key of such a row.
pub(crate) fn name_parts(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key.get(3..)?).ok()?.split_once('\0')
}
