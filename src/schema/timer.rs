//! Scheduled operations.

use std::ops::Range;

use super::{END, Table, beginning_with, entities_of, id_row, table};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{InstanceId, PartitionId};
use crate::time::Timestamp;

/// The names of all scheduled operations of a partition that are addressed to entities.
pub(crate) fn names_of_entities(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(entities_of(partition, Table::TimerName))
}

/// A scheduled operation, ordered by its due time.
pub(crate) fn key(partition: PartitionId, due: Timestamp, id: &InstanceId, name: &str) -> Vec<u8> {
    let mut key = table(partition, Table::Timer, 9 + id.as_str().len() + name.len());
    key.extend_from_slice(&due.0.to_be_bytes());
    key.extend_from_slice(id.as_str().as_bytes());
    key.push(END);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The scheduled operations of a partition that are due before `end`.
pub(crate) fn before(partition: PartitionId, end: Timestamp) -> Range<Vec<u8>> {
    let start = table(partition, Table::Timer, 0);
    let mut until = start.clone();
    until.extend_from_slice(&end.0.to_be_bytes());
    start..until
}

/// All scheduled operations of a partition.
pub(crate) fn all(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Timer, 0))
}

/// Returns the due time, id and name in the key of a timer.
pub(crate) fn parts(key: &[u8]) -> Option<(Timestamp, &str, &str)> {
    let due = u64::from_be_bytes(key.get(3..11)?.try_into().ok()?);
    let rest = std::str::from_utf8(key.get(11..)?).ok()?;
    let (id, name) = rest.split_once('\0')?;
    Some((Timestamp(due), id, name))
}

/// The due time of the scheduled operation of this name.
pub(crate) fn name_key(partition: PartitionId, id: &InstanceId, name: &str) -> Vec<u8> {
    let mut key = id_row(partition, Table::TimerName, id, name.len());
    key.extend_from_slice(name.as_bytes());
    key
}

/// The names of the scheduled operations of one instance.
pub(crate) fn names_of(partition: PartitionId, id: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::TimerName, id, 0))
}

/// Returns the name in the key of the due time of a scheduled operation.
pub(crate) fn name_of<'a>(key: &'a [u8], id: &InstanceId) -> Option<&'a str> {
    let name = key.get(id_row(PartitionId(0), Table::TimerName, id, 0).len()..)?;
    std::str::from_utf8(name).ok()
}

/// Returns the due time in the row of a timer's name.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if the row has another length.
pub(crate) fn due_of(bytes: &[u8]) -> Result<Timestamp> {
    let bytes = bytes
        .try_into()
        .map_err(|_| Error::new(ErrorKind::Corrupted, "a stored due time is not eight bytes long"))?;
    Ok(Timestamp(u64::from_be_bytes(bytes)))
}
