//! Quarantined instances.

use std::ops::Range;

use super::{Table, beginning_with, table, whole_id};
use crate::id::{InstanceId, PartitionId};

/// The quarantine row of an instance.
pub(crate) fn key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::Quarantine, id)
}

/// The quarantined entities of a partition: its quarantined instances without the orchestrations.
pub(crate) fn entities(partition: PartitionId) -> Range<Vec<u8>> {
    let mut key = table(partition, Table::Quarantine, 1);
    key.push(b'@');
    beginning_with(key)
}

/// The quarantined instances of a partition.
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Quarantine, 0))
}
