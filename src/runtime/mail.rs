//! The messages of a shard on their way to another one.

use tokio::sync::watch;

use crate::error::Result;
use crate::id::{Shard, ShardId};
use crate::model::{self, MailMark, MailRecord};
use crate::schema;
use crate::store::{PageBounds, Reader};

/// Limits of one letter.
const LETTER: PageBounds = PageBounds {
    rows: 128,
    bytes: 256 * 1024,
};

/// The messages to the other shards that may be sent, because they are durable.
#[derive(Debug)]
pub(crate) struct Mail {
    /// The number of the newest such message, by shard.
    newest: Vec<watch::Sender<u64>>,
}

impl Mail {
    /// Returns the state before the messages in the store are known.
    pub(crate) fn new(shard: Shard) -> Self {
        let newest = (0..shard.count).map(|_| watch::Sender::default());
        Self {
            newest: newest.collect(),
        }
    }

    /// Looks for the messages that an earlier life of the shard has stored.
    ///
    /// # Errors
    /// Any error of the reader.
    pub(crate) fn look(&self, shard: Shard, reader: &dyn Reader) -> Result<()> {
        for to in shard.others() {
            if let Some(sent) = reader.get(&schema::mail::sent(to))? {
                let sent: MailMark = model::decode(&sent, "mark of messages between shards")?;
                self.post(to, sent.number);
            }
        }
        Ok(())
    }

    /// Notes that the messages to a shard up to this number are durable.
    pub(crate) fn post(&self, to: ShardId, number: u64) {
        self.newest[usize::from(to.0)].send_if_modified(|newest| {
            let is_newer = number > *newest;
            *newest = number.max(*newest);
            is_newer
        });
    }

    /// Returns the number of the newest message to a shard, and its changes.
    pub(crate) fn subscribe(&self, to: ShardId) -> watch::Receiver<u64> {
        self.newest[usize::from(to.0)].subscribe()
    }
}

/// Messages that are sent at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Letter {
    /// The number of the first one.
    pub(crate) first: u64,
    pub(crate) messages: Vec<MailRecord>,
}

/// Sends the messages of a shard to another one, each until the other one has it.
#[derive(Debug)]
pub(crate) struct Courier {
    to: ShardId,
    /// The number of the newest message that the other shard has, as far as it is known.
    taken: u64,
}

impl Courier {
    /// Returns a courier that begins with the oldest message that is stored.
    pub(crate) fn new(to: ShardId) -> Self {
        Self { to, taken: 0 }
    }

    /// Returns the next messages, of those up to number `newest`. Until they are taken in, it returns the same ones again.
    ///
    /// # Errors
    /// Any error of the reader.
    pub(crate) fn next(&self, newest: u64, reader: &dyn Reader) -> Result<Option<Letter>> {
        let mut range = schema::mail::from(self.to, self.taken + 1);
        range.end = schema::mail::key(self.to, newest + 1);
        if range.is_empty() {
            return Ok(None);
        }
        let rows = reader.page(range, LETTER)?.rows;
        let Some(first) = rows.first().and_then(|(key, _)| schema::mail::number_of(key)) else {
            return Ok(None);
        };
        let messages = rows
            .iter()
            .map(|(_, row)| model::decode(row, "message to another shard"));
        let messages = messages.collect::<Result<_>>()?;
        Ok(Some(Letter { first, messages }))
    }

    /// Notes the answer: the number of the newest message that the other shard has.
    pub(crate) fn answered(&mut self, taken: u64) {
        self.taken = self.taken.max(taken);
    }
}

#[cfg(test)]
mod tests;
