//! Messages between the shards of a hub.
//!
//! A message to another shard is a row of the commit that sends it, with a number that counts the messages to that shard.
//! When the commit is durable, the message is sent until the other shard has it, possibly more than once. The other shard
//! takes in each number once and in order, and notes how far it is in the commit that takes the messages in. So a message
//! arrives exactly once, and messages from one shard to another keep their order, whatever fails in between.
//!
//! Both shards know a hash of all messages so far. If one of them loses commits that it has acknowledged, they no longer
//! agree, and the one that notices it stops.

use crate::engine::ctx::Ctx;
use crate::engine::mailboxes::Mailboxes;
use crate::engine::message::{Effect, Message, Output, Response, Token};
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "cluster")]
use crate::id::MessageId;
use crate::id::{InstanceId, Shard, ShardId};
use crate::model::{self, MailMark, MailRecord};
use crate::schema;
use crate::store::Reader;

/// The state of the messages to and from the other shards.
#[derive(Debug)]
pub(super) struct Mail {
    /// Indexed by the other shard.
    pairs: Vec<Pair>,
}

/// The messages to and from one other shard.
#[derive(Debug, Default)]
struct Pair {
    sent: MailMark,
    taken: MailMark,
    /// The number of the oldest message to it that has a row. Greater than that of the newest message if there is none.
    oldest: u64,
    /// The number of the newest message that it has, as far as it has said. The rows up to it can go.
    answered: u64,
    /// True if the current step has sent messages to it.
    has_sent: bool,
    /// True if the current step has taken in messages from it.
    has_taken: bool,
}

impl Mail {
    /// Reads how far the messages were sent and taken in.
    pub(super) fn open(shard: Shard, reader: &dyn Reader) -> Result<Self> {
        let mut pairs: Vec<Pair> = (0..shard.count).map(|_| Pair::default()).collect();
        for other in shard.others() {
            pairs[usize::from(other.0)] = Pair::open(other, reader)?;
        }
        Ok(Self { pairs })
    }

    fn with(&mut self, other: ShardId) -> &mut Pair {
        &mut self.pairs[usize::from(other.0)]
    }
}

impl Pair {
    fn open(other: ShardId, reader: &dyn Reader) -> Result<Self> {
        let mark = |key: Vec<u8>| match reader.get(&key)? {
            Some(row) => model::decode(&row, "mark of messages between shards"),
            None => Ok(MailMark::default()),
        };
        let sent = mark(schema::mail::sent(other))?;
        let oldest = reader.first_key(schema::mail::from(other, 0))?;
        Ok(Self {
            sent,
            taken: mark(schema::mail::taken(other))?,
            oldest: oldest
                .and_then(|key| schema::mail::number_of(&key))
                .unwrap_or(sent.number + 1),
            answered: 0,
            has_sent: false,
            has_taken: false,
        })
    }
}

/// Stores a message for an instance of another shard. It is sent when the commit is durable.
pub(super) fn post(message: &Message, ctx: &mut Ctx<'_>) -> Result<()> {
    let to = ctx.settings.shard.of(ctx.settings.partition_of(&message.target));
    let pair = ctx.mail.with(to);
    let record = MailRecord {
        target: message.target.clone(),
        message: message.record(),
        before: pair.sent.chain,
    };
    let row = model::encode(&record)?;
    pair.sent = pair.sent.after(&row);
    pair.has_sent = true;
    let key = schema::mail::key(to, pair.sent.number);
    ctx.step.batch.insert(&key, &row);
    Ok(())
}

/// Takes in messages of another shard, of which the first one has the number `first`. Those that were taken in before are
/// passed over. The answer is the number of the newest message that this shard has.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if one of the shards has lost commits: a message is missing, or another
/// one was taken in under the same number. The sender only goes on when this shard has a message durably.
pub(super) fn take_mail(
    from: ShardId,
    first: u64,
    messages: Vec<MailRecord>,
    token: Token,
    mailboxes: &mut Mailboxes,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    for (number, record) in (first..).zip(messages) {
        let taken = ctx.mail.with(from).taken;
        if number < taken.number {
            continue;
        }
        let is_known = number == taken.number;
        let next = taken.after(&model::encode(&record)?);
        let chain = if is_known { next.chain } else { record.before };
        if number > taken.number + 1 || chain != taken.chain || record.message.source.is_none() {
            return Err(lost(from, number, ctx.settings.shard.id, taken.number));
        }
        if is_known {
            continue;
        }
        let pair = ctx.mail.with(from);
        pair.taken = next;
        pair.has_taken = true;
        mailboxes.route(
            Message::from_record(ctx.step.next_id(), record.target, record.message),
            ctx,
        )?;
    }
    let taken = ctx.mail.with(from).taken.number;
    ctx.step.settle(token, Response::of_number(taken));
    Ok(())
}

/// Returns the row of a message that has arrived at its instance under an id, in a hub of so many partitions.
#[cfg(feature = "cluster")]
pub(crate) fn arrive(id: MessageId, record: MailRecord, partitions: u16) -> Result<(Vec<u8>, Vec<u8>)> {
    let message = Message::from_record(id, record.target, record.message);
    message.row(message.target.partition(partitions))
}

/// Notes that another shard has the messages up to number `upto`. They are [deleted](delete_mail) later.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if the other shard has messages that this one has not sent.
pub(super) fn mail_was_taken(to: ShardId, upto: u64, ctx: &mut Ctx<'_>) -> Result<()> {
    let pair = ctx.mail.with(to);
    if upto > pair.sent.number {
        let newest = pair.sent.number;
        return Err(lost(ctx.settings.shard.id, newest, to, upto));
    }
    pair.answered = pair.answered.max(upto);
    Ok(())
}

/// Deletes the messages that the other shards have, if the step has a commit anyway or if there are many. An idle shard keeps
/// some of them, and its next owner sends them again, which has no effect.
pub(super) fn delete_mail(ctx: &mut Ctx<'_>) {
    for other in ctx.settings.shard.others() {
        let pair = ctx.mail.with(other);
        let taken = pair.oldest..=pair.answered;
        let count = (pair.answered + 1).saturating_sub(pair.oldest);
        if count == 0 || count < ctx.settings.limits.sent_mail && ctx.step.batch.is_empty() {
            continue;
        }
        pair.oldest = pair.answered + 1;
        for number in taken {
            ctx.step.batch.delete(&schema::mail::key(other, number));
        }
    }
}

/// Writes how far the messages of the step were sent and taken in, and sends them when the commit is durable.
pub(super) fn write_mail(ctx: &mut Ctx<'_>) -> Result<()> {
    for other in ctx.settings.shard.others() {
        let pair = ctx.mail.with(other);
        let (sent, taken) = (pair.sent, pair.taken);
        let has_sent = std::mem::take(&mut pair.has_sent);
        if std::mem::take(&mut pair.has_taken) {
            ctx.step.put(&schema::mail::taken(other), &taken)?;
        }
        if has_sent {
            ctx.step.put(&schema::mail::sent(other), &sent)?;
            let effect = Effect::Mail {
                to: other,
                newest: sent.number,
            };
            ctx.step.outputs.push(Output::Effect(effect));
        }
    }
    Ok(())
}

/// Creates the error for a request that has reached a shard without its instance. A client would not learn from another
/// shard what has become of it.
pub(super) fn no_instance_here(target: &InstanceId, shard: Shard) -> Error {
    let text = format!(
        "the request for `{target}` has reached shard {} of the hub, which does not have it; send it again",
        shard.id.0
    );
    Error::new(ErrorKind::Unavailable, text)
}

/// Creates the error for two shards that do not agree about the messages from one to the other.
fn lost(from: ShardId, sent: u64, to: ShardId, taken: u64) -> Error {
    Error::new(
        ErrorKind::Corrupted,
        format!(
            "shard {} of the hub sends message {sent} to shard {}, which has received {taken} messages, but not the same ones: \
             one of the two shards has lost commits; restore a backup of the whole database",
            from.0, to.0
        ),
    )
}

#[cfg(test)]
mod tests;
