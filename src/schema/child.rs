//! The sub-orchestrations that orchestrations wait for.

use std::ops::Range;

use super::{END, Table, beginning_with, id_row, put_message_id};
use crate::id::{InstanceId, MessageId, PartitionId};

/// A sub-orchestration that an orchestration waited for, with the order that started the child.
pub(crate) fn key(partition: PartitionId, parent: &InstanceId, child: &InstanceId, order: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::Child, parent, child.as_str().len() + 13);
    key.extend_from_slice(child.as_str().as_bytes());
    key.push(END);
    put_message_id(&mut key, order);
    key
}

/// The sub-orchestrations that one orchestration waited for.
pub(crate) fn of(partition: PartitionId, parent: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::Child, parent, 0))
}

/// All such rows of a partition.
#[cfg(test)]
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(super::table(partition, Table::Child, 0))
}

/// Returns the parent, child and order in the key of such a row.
pub(crate) fn parts(key: &[u8]) -> Option<(&str, &str, MessageId)> {
    let (ids, order) = key.get(3..)?.split_at_checked(key.len().checked_sub(15)?)?;
    let (parent, child) = std::str::from_utf8(ids.strip_suffix(&[END])?).ok()?.split_once('\0')?;
    Some((parent, child, super::message::id_of(order)?))
}
