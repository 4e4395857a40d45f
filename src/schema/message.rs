//! The messages that wait for instances.

use std::ops::Range;

use super::{Table, beginning_with, entities_of, id_row, put_message_id, table};
use crate::id::{InstanceId, MessageId, PartitionId};

/// A message that waits for an instance.
pub(crate) fn key(partition: PartitionId, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::Message, id, 12);
    put_message_id(&mut key, message);
    key
}

/// The messages of one instance, starting with `first`.
pub(crate) fn of(partition: PartitionId, id: &InstanceId, first: MessageId) -> Range<Vec<u8>> {
    let mut range = beginning_with(id_row(partition, Table::Message, id, 0));
    range.start = key(partition, id, first);
    range
}

/// All messages of a partition.
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Message, 0))
}

/// All messages of a partition. Those that bypass the queue come first.
pub(crate) fn all_with_priority(partition: PartitionId) -> Range<Vec<u8>> {
    super::priority::all(partition).start..all(partition).end
}

/// All messages of a partition that are addressed to entities.
pub(crate) fn of_entities(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(entities_of(partition, Table::Message))
}

/// The first key after all messages of one instance.
pub(crate) fn after(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    beginning_with(id_row(partition, Table::Message, id, 0)).end
}

/// Returns the message id at the end of the key of a message or a dead letter.
pub(crate) fn id_of(key: &[u8]) -> Option<MessageId> {
    let at = key.len().checked_sub(12)?;
    let (batch, index) = key[at..].split_at(8);
    Some(MessageId {
        batch: u64::from_be_bytes(batch.try_into().ok()?),
        index: u32::from_be_bytes(index.try_into().ok()?),
    })
}
