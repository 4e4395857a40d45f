//! The counters of a partition.

use super::{Table, table};
use crate::id::PartitionId;

/// The counters of a partition.
pub(crate) fn key(partition: PartitionId) -> Vec<u8> {
    table(partition, Table::Partition, 0)
}
