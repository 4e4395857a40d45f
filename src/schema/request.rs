//! The outcomes of request ids, and their ages.

use std::ops::Range;

use super::{END, Table, beginning_with, id_row, place_of, put_place, table};
use crate::id::{InstanceId, PartitionId};
use crate::model::Place;

/// The outcome of a client's request id.
pub(crate) fn key(partition: PartitionId, id: &InstanceId, request: &str) -> Vec<u8> {
    let mut key = id_row(partition, Table::Request, id, request.len());
    key.extend_from_slice(request.as_bytes());
    key
}

/// The place of a request row among those of its partition. Places follow the order in which the rows were written,
/// regardless of the clock, and include the time of the write.
pub(crate) fn age_key(partition: PartitionId, place: Place, id: &InstanceId, request: &str) -> Vec<u8> {
    let mut key = table(partition, Table::RequestAge, 21 + id.as_str().len() + request.len());
    put_place(&mut key, place);
    key.extend_from_slice(id.as_str().as_bytes());
    key.push(END);
    key.extend_from_slice(request.as_bytes());
    key
}

/// The request rows of a partition, oldest first.
pub(crate) fn ages(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::RequestAge, 0))
}

/// Returns the place, the id and the request in the key of a request's age.
pub(crate) fn age_parts(key: &[u8]) -> Option<(Place, &str, &str)> {
    let (place, rest) = place_of(key)?;
    let (id, request) = rest.split_once('\0')?;
    Some((place, id, request))
}
