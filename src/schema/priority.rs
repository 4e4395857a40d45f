//! The messages that bypass the queues of their instances.

use std::ops::Range;

use super::{Table, beginning_with, entities_of, id_row, put_message_id, table};
use crate::id::{InstanceId, MessageId, PartitionId};

/// All messages of a partition that are addressed to entities and bypass the queue.
pub(crate) fn of_entities(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(entities_of(partition, Table::Priority))
}

/// A message that waits for an instance and bypasses its queue.
pub(crate) fn key(partition: PartitionId, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::Priority, id, 12);
    put_message_id(&mut key, message);
    key
}

/// The priority messages of one instance.
pub(crate) fn of(partition: PartitionId, id: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::Priority, id, 0))
}

/// All priority messages of a partition.
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Priority, 0))
}
