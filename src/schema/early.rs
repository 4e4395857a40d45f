//! Events for orchestrations that do not exist yet.

use std::ops::Range;

use super::{END, Table, beginning_with, id_row, put_message_id, table, whole_id};
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::time::Timestamp;

/// An event for an orchestration that does not exist yet.
pub(crate) fn event_key(partition: PartitionId, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::EarlyEvent, id, 12);
    put_message_id(&mut key, message);
    key
}

/// All events of a partition that wait for orchestrations.
#[cfg(test)]
pub(crate) fn events(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::EarlyEvent, 0))
}

/// The small row for such an event, through which the event is found, counted and removed.
pub(crate) fn place_key(partition: PartitionId, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::EarlyPlace, id, 12);
    put_message_id(&mut key, message);
    key
}

/// The small rows for the events that wait for one orchestration, oldest first.
pub(crate) fn places_of(partition: PartitionId, id: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::EarlyPlace, id, 0))
}

/// An event that waits for an orchestration, under its expiry time.
pub(crate) fn expiry_key(partition: PartitionId, expires: Timestamp, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = table(partition, Table::EarlyExpiry, 21 + id.as_str().len());
    key.extend_from_slice(&expires.0.to_be_bytes());
    key.extend_from_slice(id.as_str().as_bytes());
    key.push(END);
    put_message_id(&mut key, message);
    key
}

/// The events of a partition that wait for orchestrations, ordered by expiry time.
pub(crate) fn expiries(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::EarlyExpiry, 0))
}

/// Returns the expiry time, id and message in the key of such a row.
pub(crate) fn expiry_parts(key: &[u8]) -> Option<(Timestamp, &str, MessageId)> {
    let expires = u64::from_be_bytes(key.get(3..11)?.try_into().ok()?);
    let (id, message) = key.get(11..)?.split_at_checked(key.len().checked_sub(24)?)?;
    let message = message.strip_prefix(&[END])?;
    Some((
        Timestamp(expires),
        std::str::from_utf8(id).ok()?,
        super::message::id_of(message)?,
    ))
}

/// The number of events that wait for one orchestration.
pub(crate) fn count_key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::EarlyCount, id)
}

/// The mark of an orchestration that has begun and has not received all events that waited for it.
pub(crate) fn left_key(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::EarlyLeft, id)
}

/// The marks of all such orchestrations of a partition.
pub(crate) fn all_left(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::EarlyLeft, 0))
}
