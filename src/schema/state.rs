//! The states of entities.

use std::ops::Range;

use super::{Table, beginning_with, table};
use crate::id::{InstanceId, PartitionId};

/// The state of an instance.
pub(crate) fn key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    let mut key = Vec::new();
    put_key(&mut key, partition, id);
    key
}

/// Replaces `key` with the key of [`key`].
pub(crate) fn put_key(key: &mut Vec<u8>, partition: PartitionId, id: &InstanceId) {
    key.clear();
    key.extend_from_slice(&partition.0.to_be_bytes());
    key.push(Table::State as u8);
    key.extend_from_slice(id.as_str().as_bytes());
}

/// All states whose ids begin with `prefix`.
pub(crate) fn with_prefix(partition: PartitionId, prefix: &str) -> Range<Vec<u8>> {
    let mut key = table(partition, Table::State, prefix.len());
    key.extend_from_slice(prefix.as_bytes());
    beginning_with(key)
}
