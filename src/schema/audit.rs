//! The newest changes of the states of entities whose types keep them.

use std::ops::Range;

use super::{Table, beginning_with, id_row, put_message_id, table};
use crate::id::{InstanceId, MessageId, PartitionId};

/// A change of the state of an entity. Later changes have higher places.
pub(crate) fn key(partition: PartitionId, id: &InstanceId, place: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::Audit, id, 12);
    put_message_id(&mut key, place);
    key
}

/// All changes in a partition.
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Audit, 0))
}

/// The changes of all entities of one type in a partition.
pub(crate) fn of_type(partition: PartitionId, name: &str) -> Range<Vec<u8>> {
    let mut prefix = table(partition, Table::Audit, name.len() + 2);
    prefix.push(b'@');
    prefix.extend_from_slice(name.as_bytes());
    prefix.push(b'@');
    beginning_with(prefix)
}

/// The changes of one entity, oldest first.
pub(crate) fn of(partition: PartitionId, id: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::Audit, id, 0))
}
