//! The messages from one shard to another, and how far they were sent and received.
//!
//! A shard stores no rows of instances under the partitions of other shards. So what it sends to another shard, and has
//! received from it, is stored under the partition that stands for the other shard.

use std::ops::Range;

use super::{Table, table};
use crate::id::ShardId;

/// A message to another shard, which this shard keeps until the other one has it.
pub(crate) fn key(to: ShardId, number: u64) -> Vec<u8> {
    let mut key = table(to.partition(), Table::Mail, 8);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The messages to another shard, from the one with this number on.
pub(crate) fn from(to: ShardId, number: u64) -> Range<Vec<u8>> {
    let mut end = table(to.partition(), Table::Mail, 0);
    end[2] += 1;
    key(to, number)..end
}

/// Returns the number in the key of a message to another shard.
pub(crate) fn number_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(3..)?.try_into().ok()?))
}

/// How far messages were sent to another shard.
pub(crate) fn sent(to: ShardId) -> Vec<u8> {
    table(to.partition(), Table::MailSent, 0)
}

/// How far messages of another shard were taken in.
pub(crate) fn taken(from: ShardId) -> Vec<u8> {
    table(from.partition(), Table::MailTaken, 0)
}
