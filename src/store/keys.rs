//! The keys of every table. Numbers are big-endian, so byte order is numeric order. Keys are prefixed with the
//! partition.
//!
//! A key is `partition (2 bytes) | table (1 byte) | rest`. Ids contain no control characters, so a zero byte ends an
//! id. The layout is part of the stored format.

use std::ops::Range;

use crate::id::{ExecutionId, InstanceId, MessageId, PartitionId, Sequence};
use crate::store::records::Place;
use crate::store::records::instance::OrchestrationStatus;
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
    State = 0x10,
    /// Messages that bypass the queue (see `Message::is_urgent`). They sort before the others and are read first.
    Urgent = 0x1f,
    Message = 0x20,
    Timer = 0x30,
    TimerName = 0x31,
    Request = 0x40,
    RequestAge = 0x41,
    DeadLetter = 0x50,
    DeadLetterAge = 0x51,
    Quarantine = 0x60,
    Lock = 0x61,
    Instance = 0x70,
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
    pub(crate) const ALL: [Self; 26] = [
        Self::Partition,
        Self::State,
        Self::Urgent,
        Self::Message,
        Self::Timer,
        Self::TimerName,
        Self::Request,
        Self::RequestAge,
        Self::DeadLetter,
        Self::DeadLetterAge,
        Self::Quarantine,
        Self::Lock,
        Self::Instance,
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

/// The counters of a partition.
pub(crate) fn partition(partition: PartitionId) -> Vec<u8> {
    table(partition, Table::Partition, 0)
}

/// The state of an instance.
pub(crate) fn state(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    let mut key = Vec::new();
    put_state(&mut key, partition, id);
    key
}

/// Replaces `key` with the key of [`state`].
pub(crate) fn put_state(key: &mut Vec<u8>, partition: PartitionId, id: &InstanceId) {
    key.clear();
    key.extend_from_slice(&partition.0.to_be_bytes());
    key.push(Table::State as u8);
    key.extend_from_slice(id.as_str().as_bytes());
}

/// All states whose ids begin with `prefix`.
pub(crate) fn states(partition: PartitionId, prefix: &str) -> Range<Vec<u8>> {
    let mut key = table(partition, Table::State, prefix.len());
    key.extend_from_slice(prefix.as_bytes());
    beginning_with(key)
}

/// Returns the id in the key of a state, a quarantine row, a message or the name of a timer.
pub(crate) fn id_of(key: &[u8]) -> Option<&str> {
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

/// A message that waits for an instance.
pub(crate) fn message(partition: PartitionId, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::Message, id, 12);
    put_message_id(&mut key, message);
    key
}

/// The messages of one instance, starting with `first`.
pub(crate) fn messages_of(partition: PartitionId, id: &InstanceId, first: MessageId) -> Range<Vec<u8>> {
    let mut range = beginning_with(id_row(partition, Table::Message, id, 0));
    range.start = message(partition, id, first);
    range
}

/// All messages of a partition.
pub(crate) fn messages(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Message, 0))
}

/// All messages of a partition. Those that bypass the queue come first.
pub(crate) fn all_messages(partition: PartitionId) -> Range<Vec<u8>> {
    urgents(partition).start..messages(partition).end
}

/// The first key in the table of `key` after all rows of the instance in `key`.
pub(crate) fn after_id(key: &[u8]) -> Vec<u8> {
    let rest = key.get(3..).unwrap_or_default();
    let end = rest.iter().position(|byte| *byte == END).unwrap_or(rest.len());
    let mut after = key[..key.len() - rest.len() + end].to_vec();
    after.push(END + 1);
    after
}

/// All messages of a partition that are addressed to entities.
pub(crate) fn messages_of_entities(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(entities_of(partition, Table::Message))
}

/// All messages of a partition that are addressed to entities and bypass the queue.
pub(crate) fn urgents_of_entities(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(entities_of(partition, Table::Urgent))
}

/// The names of all scheduled operations of a partition that are addressed to entities.
pub(crate) fn timer_names_of_entities(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(entities_of(partition, Table::TimerName))
}

/// The key prefix of the rows of a table that belong to entities.
fn entities_of(partition: PartitionId, kind: Table) -> Vec<u8> {
    let mut key = table(partition, kind, 1);
    key.push(b'@');
    key
}

/// The first key after all messages of one instance.
pub(crate) fn after_messages_of(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    beginning_with(id_row(partition, Table::Message, id, 0)).end
}

/// Returns the message id at the end of the key of a message or a dead letter.
pub(crate) fn message_id_of(key: &[u8]) -> Option<MessageId> {
    let at = key.len().checked_sub(12)?;
    let (batch, index) = key[at..].split_at(8);
    Some(MessageId {
        batch: u64::from_be_bytes(batch.try_into().ok()?),
        index: u32::from_be_bytes(index.try_into().ok()?),
    })
}

/// A scheduled operation, ordered by its due time.
pub(crate) fn timer(partition: PartitionId, due: Timestamp, id: &InstanceId, name: &str) -> Vec<u8> {
    let mut key = table(partition, Table::Timer, 9 + id.as_str().len() + name.len());
    key.extend_from_slice(&due.0.to_be_bytes());
    key.extend_from_slice(id.as_str().as_bytes());
    key.push(END);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The scheduled operations of a partition that are due before `end`.
pub(crate) fn timers_before(partition: PartitionId, end: Timestamp) -> Range<Vec<u8>> {
    let start = table(partition, Table::Timer, 0);
    let mut until = start.clone();
    until.extend_from_slice(&end.0.to_be_bytes());
    start..until
}

/// All scheduled operations of a partition.
pub(crate) fn timers(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Timer, 0))
}

/// Returns the due time, id and name in the key of a timer.
pub(crate) fn timer_parts(key: &[u8]) -> Option<(Timestamp, &str, &str)> {
    let due = u64::from_be_bytes(key.get(3..11)?.try_into().ok()?);
    let rest = std::str::from_utf8(key.get(11..)?).ok()?;
    let (id, name) = rest.split_once('\0')?;
    Some((Timestamp(due), id, name))
}

/// The due time of the scheduled operation of this name.
pub(crate) fn timer_name(partition: PartitionId, id: &InstanceId, name: &str) -> Vec<u8> {
    let mut key = id_row(partition, Table::TimerName, id, name.len());
    key.extend_from_slice(name.as_bytes());
    key
}

/// The outcome of a client's request id.
pub(crate) fn request(partition: PartitionId, id: &InstanceId, request: &str) -> Vec<u8> {
    let mut key = id_row(partition, Table::Request, id, request.len());
    key.extend_from_slice(request.as_bytes());
    key
}

/// The place of a request row among those of its partition. Places follow the order in which the rows were written,
/// regardless of the clock, and include the time of the write.
pub(crate) fn request_age(partition: PartitionId, place: Place, id: &InstanceId, request: &str) -> Vec<u8> {
    let mut key = table(partition, Table::RequestAge, 21 + id.as_str().len() + request.len());
    put_place(&mut key, place);
    key.extend_from_slice(id.as_str().as_bytes());
    key.push(END);
    key.extend_from_slice(request.as_bytes());
    key
}

/// The request rows of a partition, oldest first.
pub(crate) fn request_ages(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::RequestAge, 0))
}

/// Returns the place, the id and the request in the key of a request's age.
pub(crate) fn request_age_parts(key: &[u8]) -> Option<(Place, &str, &str)> {
    let (place, rest) = place_of(key)?;
    let (id, request) = rest.split_once('\0')?;
    Some((place, id, request))
}

fn put_place(key: &mut Vec<u8>, place: Place) {
    put_message_id(key, place.number);
    key.extend_from_slice(&place.since.0.to_be_bytes());
}

/// Returns the place at the beginning of a key and the text after it.
fn place_of(key: &[u8]) -> Option<(Place, &str)> {
    let since = u64::from_be_bytes(key.get(15..23)?.try_into().ok()?);
    let place = Place {
        number: message_id_of(key.get(3..15)?)?,
        since: Timestamp(since),
    };
    Some((place, std::str::from_utf8(key.get(23..)?).ok()?))
}

/// A message that could not be processed.
pub(crate) fn dead_letter(partition: PartitionId, message: MessageId) -> Vec<u8> {
    let mut key = table(partition, Table::DeadLetter, 12);
    put_message_id(&mut key, message);
    key
}

/// The dead letters of a partition, oldest first.
pub(crate) fn dead_letters(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::DeadLetter, 0))
}

/// The place of a dead letter among those of its partition, with the entity that it was addressed to. Retention is
/// decided from these rows, without reading the dead letters, which may be large.
pub(crate) fn dead_letter_age(partition: PartitionId, place: Place, target: &str) -> Vec<u8> {
    let mut key = table(partition, Table::DeadLetterAge, 20 + target.len());
    put_place(&mut key, place);
    key.extend_from_slice(target.as_bytes());
    key
}

/// The places of the dead letters of a partition, oldest first.
pub(crate) fn dead_letter_ages(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::DeadLetterAge, 0))
}

/// Returns the place and target in the key of a dead letter's age.
pub(crate) fn dead_letter_age_parts(key: &[u8]) -> Option<(Place, &str)> {
    place_of(key)
}

/// The quarantine row of an instance.
pub(crate) fn quarantine(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::Quarantine, id)
}

/// The quarantined entities of a partition: its quarantined instances without the orchestrations.
pub(crate) fn quarantined_entities(partition: PartitionId) -> Range<Vec<u8>> {
    let mut key = table(partition, Table::Quarantine, 1);
    key.push(b'@');
    beginning_with(key)
}

/// The quarantined instances of a partition.
pub(crate) fn quarantines(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Quarantine, 0))
}

/// A message that waits for an instance and bypasses its queue.
pub(crate) fn urgent(partition: PartitionId, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::Urgent, id, 12);
    put_message_id(&mut key, message);
    key
}

/// The urgent messages of one instance.
pub(crate) fn urgents_of(partition: PartitionId, id: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::Urgent, id, 0))
}

/// All urgent messages of a partition.
pub(crate) fn urgents(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Urgent, 0))
}

/// The holder of the lock of an entity.
pub(crate) fn lock(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::Lock, id)
}

/// All locks of a partition.
pub(crate) fn locks(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Lock, 0))
}

/// The row of an orchestration.
pub(crate) fn instance(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::Instance, id)
}

/// All orchestrations of a partition whose ids begin with `prefix`.
pub(crate) fn instances(partition: PartitionId, prefix: &str) -> Range<Vec<u8>> {
    let mut key = table(partition, Table::Instance, prefix.len());
    key.extend_from_slice(prefix.as_bytes());
    beginning_with(key)
}

/// The start of an orchestration whose execution has no turn yet.
pub(crate) fn start(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::Start, id)
}

/// One turn in the history of an execution.
pub(crate) fn turn(partition: PartitionId, id: &InstanceId, execution: ExecutionId, turn: u32) -> Vec<u8> {
    let mut key = id_row(partition, Table::History, id, 20);
    key.extend_from_slice(&execution.0);
    key.extend_from_slice(&turn.to_be_bytes());
    key
}

/// The turns of an execution whose numbers are in `turns`.
pub(crate) fn turns(
    partition: PartitionId,
    id: &InstanceId,
    execution: ExecutionId,
    turns: Range<u32>,
) -> Range<Vec<u8>> {
    turn(partition, id, execution, turns.start)..turn(partition, id, execution, turns.end)
}

/// The end of an orchestration.
pub(crate) fn end(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::End, id)
}

/// The custom status of an orchestration.
pub(crate) fn custom_status(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::CustomStatus, id)
}

/// An orchestration under its status and creation time.
pub(crate) fn status(
    partition: PartitionId,
    status: OrchestrationStatus,
    created: Timestamp,
    id: &InstanceId,
) -> Vec<u8> {
    let mut key = table(partition, Table::Status, 9 + id.as_str().len());
    key.push(status as u8);
    key.extend_from_slice(&created.0.to_be_bytes());
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// The orchestrations of a partition with this status, ordered by creation time.
pub(crate) fn statuses(partition: PartitionId, status: OrchestrationStatus) -> Range<Vec<u8>> {
    let mut key = table(partition, Table::Status, 1);
    key.push(status as u8);
    beginning_with(key)
}

/// Returns the creation time and id in the key of a status.
pub(crate) fn status_parts(key: &[u8]) -> Option<(Timestamp, &str)> {
    let created = u64::from_be_bytes(key.get(4..12)?.try_into().ok()?);
    Some((Timestamp(created), std::str::from_utf8(key.get(12..)?).ok()?))
}

/// An activity that has not ended.
pub(crate) fn activity(partition: PartitionId, id: &InstanceId, execution: ExecutionId, sequence: Sequence) -> Vec<u8> {
    let mut key = id_row(partition, Table::Activity, id, 24);
    key.extend_from_slice(&execution.0);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

/// All activities of a partition that have not ended.
pub(crate) fn activities(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Activity, 0))
}

/// Returns the id, execution and sequence in the key of an activity.
pub(crate) fn activity_parts(key: &[u8]) -> Option<(&str, ExecutionId, Sequence)> {
    let at = key.len().checked_sub(24)?;
    let (execution, sequence) = key[at..].split_at(16);
    Some((
        id_of(key)?,
        ExecutionId(execution.try_into().ok()?),
        Sequence::from_be_bytes(sequence.try_into().ok()?),
    ))
}

/// A name and version with which orchestrations were started in a partition.
pub(crate) fn orchestration_name(partition: PartitionId, name: &str, version: &str) -> Vec<u8> {
    let mut key = table(partition, Table::OrchestrationName, name.len() + 1 + version.len());
    key.extend_from_slice(name.as_bytes());
    key.push(END);
    key.extend_from_slice(version.as_bytes());
    key
}

/// All names and versions with which orchestrations were started in a partition.
pub(crate) fn orchestration_names(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::OrchestrationName, 0))
}

/// Returns the name and version in the key of such a row.
pub(crate) fn orchestration_name_parts(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key.get(3..)?).ok()?.split_once('\0')
}

/// An event for an orchestration that does not exist yet.
pub(crate) fn early_event(partition: PartitionId, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::EarlyEvent, id, 12);
    put_message_id(&mut key, message);
    key
}

/// All events of a partition that wait for orchestrations.
#[cfg(test)]
pub(crate) fn early_events(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::EarlyEvent, 0))
}

/// The small row for such an event, through which the event is found, counted and removed.
pub(crate) fn early_place(partition: PartitionId, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::EarlyPlace, id, 12);
    put_message_id(&mut key, message);
    key
}

/// The small rows for the events that wait for one orchestration, oldest first.
pub(crate) fn early_places_of(partition: PartitionId, id: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::EarlyPlace, id, 0))
}

/// An event that waits for an orchestration, under its expiry time.
pub(crate) fn early_expiry(partition: PartitionId, expires: Timestamp, id: &InstanceId, message: MessageId) -> Vec<u8> {
    let mut key = table(partition, Table::EarlyExpiry, 21 + id.as_str().len());
    key.extend_from_slice(&expires.0.to_be_bytes());
    key.extend_from_slice(id.as_str().as_bytes());
    key.push(END);
    put_message_id(&mut key, message);
    key
}

/// The events of a partition that wait for orchestrations, ordered by expiry time.
pub(crate) fn early_expiries(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::EarlyExpiry, 0))
}

/// Returns the expiry time, id and message in the key of such a row.
pub(crate) fn early_expiry_parts(key: &[u8]) -> Option<(Timestamp, &str, MessageId)> {
    let expires = u64::from_be_bytes(key.get(3..11)?.try_into().ok()?);
    let (id, message) = key.get(11..)?.split_at_checked(key.len().checked_sub(24)?)?;
    let message = message.strip_prefix(&[END])?;
    Some((
        Timestamp(expires),
        std::str::from_utf8(id).ok()?,
        message_id_of(message)?,
    ))
}

/// The number of events that wait for one orchestration.
pub(crate) fn early_count(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::EarlyCount, id)
}

/// The mark of an orchestration that has begun and has not received all events that waited for it.
pub(crate) fn early_left(partition: PartitionId, id: &InstanceId) -> Vec<u8> {
    whole_id(partition, Table::EarlyLeft, id)
}

/// The marks of all such orchestrations of a partition.
pub(crate) fn all_early_left(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::EarlyLeft, 0))
}

/// A sub-orchestration that an orchestration waited for, with the order that started the child.
pub(crate) fn child(partition: PartitionId, parent: &InstanceId, child: &InstanceId, order: MessageId) -> Vec<u8> {
    let mut key = id_row(partition, Table::Child, parent, child.as_str().len() + 13);
    key.extend_from_slice(child.as_str().as_bytes());
    key.push(END);
    put_message_id(&mut key, order);
    key
}

/// The sub-orchestrations that one orchestration waited for.
pub(crate) fn children_of(partition: PartitionId, parent: &InstanceId) -> Range<Vec<u8>> {
    beginning_with(id_row(partition, Table::Child, parent, 0))
}

/// All such rows of a partition.
#[cfg(test)]
pub(crate) fn children(partition: PartitionId) -> Range<Vec<u8>> {
    beginning_with(table(partition, Table::Child, 0))
}

/// Returns the parent, child and order in the key of such a row.
pub(crate) fn child_parts(key: &[u8]) -> Option<(&str, &str, MessageId)> {
    let (ids, order) = key.get(3..)?.split_at_checked(key.len().checked_sub(15)?)?;
    let (parent, child) = std::str::from_utf8(ids.strip_suffix(&[END])?).ok()?.split_once('\0')?;
    Some((parent, child, message_id_of(order)?))
}

/// The first key after `key`.
pub(crate) fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

#[cfg(test)]
mod tests;
