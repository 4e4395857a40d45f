//! Messages that could not be processed, and their ages.

use std::ops::Range;

use super::{Table, beginning_with, place_of, put_message_id, put_place, table};
use crate::id::{MessageId, PartitionId};
use crate::model::Place;

/// A message that could not be processed.
pub(crate) fn key(partition: PartitionId, message: MessageId) -> Vec<u8> {
    let mut key = table(partition, Table::DeadLetter, 12);
    put_message_id(&mut key, message);
    key
}

/// The dead letters of a partition, oldest first.
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::DeadLetter, 0))
}

/// The place of a dead letter among those of its partition, with the entity that it was addressed to. Retention is
/// decided from these rows, without reading the dead letters, which may be large.
pub(crate) fn age_key(partition: PartitionId, place: Place, target: &str) -> Vec<u8> {
    let mut key = table(partition, Table::DeadLetterAge, 20 + target.len());
    put_place(&mut key, place);
    key.extend_from_slice(target.as_bytes());
    key
}

/// The places of the dead letters of a partition, oldest first.
pub(crate) fn ages(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::DeadLetterAge, 0))
}

/// Returns the place and target in the key of a dead letter's age.
pub(crate) fn age_parts(key: &[u8]) -> Option<(Place, &str)> {
    place_of(key)
}
