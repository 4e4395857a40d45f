//! The locks of entities.

use std::ops::Range;

use super::{Table, beginning_with, table, whole_id};
use crate::id::{InstanceId, PartitionId};

/// The holder of the lock of an entity.
pub(crate) fn key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::Lock, id)
}

/// All locks of a partition.
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Lock, 0))
}
