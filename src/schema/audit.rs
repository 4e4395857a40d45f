//! The newest changes of the states of entities whose types keep them.

use std::ops::Range;

use super::{Table, beginning_with, id_row, put_message_id};
use crate::id::{InstanceId, MessageId, PartitionId};

/// A change of the state of an entity. Later changes have higher places.
pub(crate) fn key(partition: PartitionId, id: &InstanceId, place: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::Audit, id, 12);
    put_message_id(&mut key, place);
    key
}

/// The changes of one entity, oldest first.
pub(crate) fn of(partition: PartitionId, id: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::Audit, id, 0))
}
