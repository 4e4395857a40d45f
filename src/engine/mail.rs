//! Messages between the shards of a hub.
//!
//! A message to another shard is a row of the commit that sends it, with a number that counts the messages to that shard.
//! When the commit is durable, the message is sent until the other shard has it, possibly more than once. The other shard
//! takes in each number once and in order, and stores how far it is in the commit that takes the messages in. So a message
//! arrives exactly once, and messages from one shard to another keep their order, whatever fails in between.

use crate::engine::ctx::Ctx;
use crate::engine::mailboxes::Mailboxes;
use crate::engine::message::{Effect, Message, Origin, Output, Response, Token};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Shard, ShardId};
use crate::model::{self, MailRecord};
use crate::schema;
use crate::store::Reader;

/// The state of the messages to and from the other shards.
#[derive(Debug)]
pub(super) struct Mail {
    /// Indexed by the other shard.
    streams: Vec<Streams>,
}

/// The messages to and from one other shard.
#[derive(Debug, Default)]
struct Streams {
    /// The number of the next message to it. The first one is 1.
    next: u64,
    /// The number of the oldest message to it that has a row, or `next`.
    oldest: u64,
    /// The number of the newest message that was received from it, or 0.
    taken: u64,
    /// True if the current step has sent messages to it, or received messages from it.
    has_sent: bool,
    has_taken: bool,
}

impl Mail {
    /// Reads how far the messages were sent and received.
    pub(super) fn open(shard: Shard, reader: &dyn Reader) -> Result<Self> {
        let mut streams: Vec<Streams> = (0..shard.count).map(|_| Streams::default()).collect();
        for other in shard.others() {
            streams[usize::from(other.0)] = Streams::open(other, reader)?;
        }
        Ok(Self { streams })
    }

    fn with(&mut self, other: ShardId) -> &mut Streams {
        &mut self.streams[usize::from(other.0)]
    }
}

impl Streams {
    fn open(other: ShardId, reader: &dyn Reader) -> Result<Self> {
        let number = |key: Vec<u8>, what| match reader.get(&key)? {
            Some(row) => model::decode::<u64>(&row, what),
            None => Ok(0),
        };
        let next = number(schema::mail::next(other), "number of messages to another shard")?.max(1);
        let oldest = reader.first_key(schema::mail::from(other, 0))?;
        Ok(Self {
            next,
            oldest: oldest.and_then(|key| schema::mail::number_of(&key)).unwrap_or(next),
            taken: number(schema::mail::taken(other), "number of messages from another shard")?,
            has_sent: false,
            has_taken: false,
        })
    }
}

/// Stores a message for an instance of another shard. It is sent when the commit is durable.
pub(super) fn post(message: &Message, ctx: &mut Ctx<'_>) -> Result<()> {
    let to = ctx.settings.shard.of(ctx.settings.partition_of(&message.target));
    let stream = ctx.mail.with(to);
    let number = stream.next;
    stream.next += 1;
    stream.has_sent = true;
    let record = MailRecord {
        target: message.target.clone(),
        message: message.record(),
    };
    ctx.step.insert(&schema::mail::key(to, number), &record)
}

/// Takes in messages of another shard, of which the first one has the number `first`. Those that were taken in before are
/// passed over. The answer is the number of the newest message that this shard has.
pub(super) fn take_mail(
    from: ShardId,
    first: u64,
    messages: Vec<MailRecord>,
    token: Token,
    mailboxes: &mut Mailboxes,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    for (number, record) in (first..).zip(messages) {
        // The messages before a gap are still on their way. The answer makes the other shard send them again.
        let stream = ctx.mail.with(from);
        if number == stream.taken + 1 {
            stream.taken = number;
            stream.has_taken = true;
            let mut message = Message::from_record(ctx.step.next_id(), record.target, record.message);
            if let Origin::Client(client) = &mut message.origin {
                client.must_store = true;
            }
            mailboxes.route(message, ctx)?;
        }
    }
    let taken = ctx.mail.with(from).taken;
    ctx.step.settle(token, Response::Answer(taken.to_string().into_bytes()));
    Ok(())
}

/// Deletes the messages up to number `upto`, which another shard has.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Corrupted`] if the other shard has messages that this one has not sent.
pub(super) fn mail_was_taken(to: ShardId, upto: u64, ctx: &mut Ctx<'_>) -> Result<()> {
    let stream = ctx.mail.with(to);
    if upto >= stream.next {
        let newest = stream.next - 1;
        return Err(Error::new(
            ErrorKind::Corrupted,
            format!(
                "shard {} has received message {upto} of shard {}, whose newest one is {newest}: commits of this shard \
                 were lost; restore a backup of the whole database",
                to.0, ctx.settings.shard.id.0
            ),
        ));
    }
    let taken = stream.oldest..=upto;
    stream.oldest = stream.oldest.max(upto + 1);
    for number in taken {
        ctx.step.batch.delete(&schema::mail::key(to, number));
    }
    Ok(())
}

/// Writes how far the messages of the step were sent and received, and sends them when the commit is durable.
pub(super) fn write_mail(ctx: &mut Ctx<'_>) -> Result<()> {
    for other in ctx.settings.shard.others() {
        let stream = ctx.mail.with(other);
        let (next, taken) = (stream.next, stream.taken);
        if std::mem::take(&mut stream.has_taken) {
            ctx.step.put(&schema::mail::taken(other), &taken)?;
        }
        if std::mem::take(&mut ctx.mail.with(other).has_sent) {
            ctx.step.put(&schema::mail::next(other), &next)?;
            let effect = Effect::Mail {
                to: other,
                newest: next - 1,
            };
            ctx.step.outputs.push(Output::Effect(effect));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
