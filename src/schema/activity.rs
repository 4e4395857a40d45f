//! The activities that have not ended.

use std::ops::Range;

use super::{Table, beginning_with, id_row, id_text, table};
use crate::id::{ExecutionId, InstanceId, PartitionId, Sequence};

/// An activity that has not ended.
pub(crate) fn key(partition: PartitionId, id: &InstanceId, execution: ExecutionId, sequence: Sequence) -> Vec<u8> {
    let mut key = id_row(partition, Table::Activity, id, 24);
    key.extend_from_slice(&execution.0);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// All activities of a partition that have not ended.
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Activity, 0))
}

/// Returns the id, execution and sequence in the key of an activity.
pub(crate) fn parts(key: &[u8]) -> Option<(&str, ExecutionId, Sequence)> {
    let at = key.len().checked_sub(24)?;
    let (execution, sequence) = key[at..].split_at(16);
    Some((
        id_text(key)?,
        ExecutionId(execution.try_into().ok()?),
        Sequence::from_be_bytes(sequence.try_into().ok()?),
    ))
}
