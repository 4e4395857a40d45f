//! The keys of every table. Numbers are big-endian, so byte order is numeric order. Keys are prefixed with the
//! partition.
//!
//! A key is `partition (2 bytes) | table (1 byte) | rest`. Ids contain no control characters, so a zero byte ends an
//! id. The layout is part of the stored format.

pub(crate) mod activity;
pub(crate) mod audit;
pub(crate) mod child;
pub(crate) mod dead_letter;
pub(crate) mod early;
pub(crate) mod lock;
pub(crate) mod mail;
pub(crate) mod message;
pub(crate) mod orchestration;
pub(crate) mod partition;
pub(crate) mod priority;
pub(crate) mod quarantine;
pub(crate) mod request;
pub(crate) mod state;
pub(crate) mod timer;

use std::ops::Range;

#[cfg(feature = "cluster")]
use crate::id::Shard;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::model::Place;
use crate::time::Timestamp;

/// The key of the row that every commit writes. It is shorter than any other key, so it sorts first and collides with
/// none.
pub(crate) const COMMIT: [u8; 1] = [0];

/// The end of an id inside a key.
const END: u8 = 0;

/// The tables of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    Partition = 0x01,
    /// These three are under the partition of another shard.
    Mail = 0x02,
    MailSent = 0x03,
    MailTaken = 0x04,
    State = 0x10,
    Audit = 0x11,
    /// Messages that bypass the queue (see `Message::has_priority`). They sort before the others and are read first.
    Priority = 0x1f,
    Message = 0x20,
    Timer = 0x30,
    TimerName = 0x31,
    Request = 0x40,
    RequestAge = 0x41,
    DeadLetter = 0x50,
    DeadLetterAge = 0x51,
    Quarantine = 0x60,
    Lock = 0x61,
    Orchestration = 0x70,
    History = 0x71,
    End = 0x72,
    CustomStatus = 0x73,
    Status = 0x74,
    Activity = 0x75,
    EarlyEvent = 0x76,
    OrchestrationName = 0x77,
    Start = 0x78,
    EarlyPlace = 0x79,
    EarlyExpiry = 0x7a,
    EarlyCount = 0x7b,
    EarlyLeft = 0x7c,
    Child = 0x7d,
}

#[cfg(any(feature = "rocksdb", test))]
impl Table {
    /// All tables, in the order of their bytes.
    pub(crate) const ALL: [Self; 30] = [
        Self::Partition,
        Self::Mail,
        Self::MailSent,
        Self::MailTaken,
        Self::State,
        Self::Audit,
        Self::Priority,
        Self::Message,
        Self::Timer,
        Self::TimerName,
        Self::Request,
        Self::RequestAge,
        Self::DeadLetter,
        Self::DeadLetterAge,
        Self::Quarantine,
        Self::Lock,
        Self::Orchestration,
        Self::History,
        Self::End,
        Self::CustomStatus,
        Self::Status,
        Self::Activity,
        Self::EarlyEvent,
        Self::OrchestrationName,
        Self::Start,
        Self::EarlyPlace,
        Self::EarlyExpiry,
        Self::EarlyCount,
        Self::EarlyLeft,
        Self::Child,
    ];
}

/// Returns the partition and table of a key, or `None` if the key belongs to no table.
#[cfg(any(feature = "rocksdb", test))]
pub(crate) fn partition_and_table(key: &[u8]) -> Option<(PartitionId, Table)> {
    let (partition, rest) = key.split_first_chunk()?;
    let byte = rest.first()?;
    let table = Table::ALL.into_iter().find(|table| *table as u8 == *byte)?;
    Some((PartitionId(u16::from_be_bytes(*partition)), table))
}

/// The rows of a shard of a hub that was not divided before, in order. Every shard has the row of the newest commit.
#[cfg(feature = "cluster")]
pub(crate) fn rows_of_shard(shard: Shard, partitions: u16) -> Vec<Range<Vec<u8>>> {
    let commit = COMMIT.to_vec()..vec![COMMIT[0], 0];
    let partitions = (0..partitions)
        .map(PartitionId)
        .filter(|partition| shard.has(*partition));
    std::iter::once(commit).chain(partitions.map(rows_of)).collect()
}

/// All rows of a partition, in all tables.
#[cfg(feature = "rocksdb")]
pub(crate) fn rows_of(partition: PartitionId) -> Range<Vec<u8>> {
    let first = partition.0.to_be_bytes().to_vec();
    let behind = match partition.0.checked_add(1) {
        Some(next) => next.to_be_bytes().to_vec(),
        None => vec![u8::MAX; 3],
    };
    first..behind
}

fn table(partition: PartitionId, table: Table, capacity: usize) -> Vec<u8> {
    let mut key = Vec::with_capacity(3 + capacity);
    key.extend_from_slice(&partition.0.to_be_bytes());
    key.push(table as u8);
    key
}

/// The rows whose keys begin with `prefix`.
fn beginning_with(prefix: Vec<u8>) -> Range<Vec<u8>> {
    let mut end = prefix.clone();
    // The last byte of a prefix is a table, a byte of an id or the zero that ends an id. In UTF-8 each is below 0xff.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    prefix..end
}

/// Returns the id in the key of a state, a quarantine row, a message or the name of a timer.
pub(crate) fn id_of(key: &[u8]) -> Option<InstanceId> {
    id_text(key).map(InstanceId::trusted)
}

/// Returns the text of the id, like [`id_of`].
pub(crate) fn id_text(key: &[u8]) -> Option<&str> {
    let rest = key.get(3..)?;
    let end = rest.iter().position(|byte| *byte == END).unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).ok()
}

/// The first key in the table of `key` after all entities of type `name`.
pub(crate) fn after_name(key: &[u8], name: &str) -> Vec<u8> {
    let table = key.get(..3).unwrap_or_default();
    beginning_with([table, b"@", name.as_bytes(), b"@"].concat()).end
}

fn id_row(partition: PartitionId, kind: Table, id: &InstanceId, rest: usize) -> Vec<u8> {
    let mut key = table(partition, kind, id.as_str().len() + 1 + rest);
    key.extend_from_slice(id.as_str().as_bytes());
    key.push(END);
    key
}

fn whole_id(partition: PartitionId, kind: Table, id: &InstanceId) -> Vec<u8> {
    let mut key = table(partition, kind, id.as_str().len());
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

fn put_message_id(key: &mut Vec<u8>, message: MessageId) {
    key.extend_from_slice(&message.batch.to_be_bytes());
    key.extend_from_slice(&message.index.to_be_bytes());
}

/// The first key in the table of `key` after all rows of the instance in `key`.
pub(crate) fn after_id(key: &[u8]) -> Vec<u8> {
    let rest = key.get(3..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == END).unwrap_or(rest.len());
    let mut after = key[..key.len() - rest.len() + end].to_vec();
    after.push(END + 1);
    after
}

/// The key prefix of the rows of a table that belong to entities.
fn entities_of(partition: PartitionId, kind: Table) -> Vec<u8> {
    let mut key = table(partition, kind, 1);
    key.push(b'@');
    key
}

fn put_place(key: &mut Vec<u8>, place: Place) {
    put_message_id(key, place.number);
    key.extend_from_slice(&place.since.0.to_be_bytes());
}

/// Returns the place at the beginning of a key and the text after it.
fn place_of(key: &[u8]) -> Option<(Place, &str)> {
    let since = u64::from_be_bytes(key.get(15..23)?.try_into().ok()?);
    let place = Place {
        number: message::id_of(key.get(3..15)?)?,
        since: Timestamp(since),
    };
    Some((place, std::str::from_utf8(key.get(23..)?).ok()?))
}

/// The first key after `key`.
pub(crate) fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

#[cfg(test)]
mod tests;
