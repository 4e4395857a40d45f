//! The messages of a shard on their way to another one.

use std::sync::{Arc, Weak};

use tokio::sync::{oneshot, watch};

use crate::engine::message::Input;
use crate::error::Result;
use crate::id::{Shard, ShardId};
use crate::model::{self, MailMark, MailRecord};
use crate::runtime::inbox::{Envelope, Reply};
use crate::runtime::shared::Runtime;
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
    /// The number of the newest message that the other shard has, by shard.
    taken: Vec<watch::Sender<u64>>,
}

impl Mail {
    /// Returns the state before the messages in the store are known.
    pub(crate) fn new(shard: Shard) -> Self {
        let numbers = || (0..shard.count).map(|_| watch::Sender::default()).collect();
        Self {
            newest: numbers(),
            taken: numbers(),
        }
    }

    /// Looks for the messages that an earlier life of the shard has stored.
    ///
    /// # Errors
    /// Any error of the reader.
    pub(crate) fn look(&self, shard: Shard, reader: &dyn Reader) -> Result<()> {
        for to in shard.others() {
            self.post(to, newest(to, reader)?);
        }
        Ok(())
    }

    /// Notes that the messages to a shard up to this number are durable.
    pub(crate) fn post(&self, to: ShardId, number: u64) {
        raise(&self.newest[to.index()], number);
    }

    /// Notes that a shard has the messages up to this number.
    fn note_taken(&self, to: ShardId, number: u64) {
        raise(&self.taken[to.index()], number);
    }

    /// Waits until another shard has the messages up to this number.
    pub(crate) async fn delivered(&self, to: ShardId, number: u64) {
        let mut taken = self.taken[to.index()].subscribe();
        // The sender is there as long as this.
        let _ = taken.wait_for(|taken| *taken >= number).await;
    }

    /// Returns the number of the newest message to a shard, and its changes.
    pub(crate) fn subscribe(&self, to: ShardId) -> watch::Receiver<u64> {
        self.newest[to.index()].subscribe()
    }
}

fn raise(newest: &watch::Sender<u64>, number: u64) {
    newest.send_if_modified(|newest| {
        let is_newer = number > *newest;
        *newest = number.max(*newest);
        is_newer
    });
}

/// Returns the number of the newest message to a shard that is stored.
///
/// # Errors
/// Any error of the reader.
pub(crate) fn newest(to: ShardId, reader: &dyn Reader) -> Result<u64> {
    let sent = reader.get(&schema::mail::sent(to))?;
    let mark = sent.map(|sent| model::decode::<MailMark>(&sent, "mark of messages between shards"));
    Ok(mark.transpose()?.map_or(0, |mark| mark.number))
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

/// Carries the messages between the shards of a process, until they close.
#[expect(clippy::disallowed_methods, reason = "the tasks of an open hub are spawned here")]
pub(crate) fn connect(shards: &[Arc<Runtime>]) {
    for from in shards {
        // A hub fails as a whole.
        let (failed, others) = (
            Arc::downgrade(from),
            shards.iter().map(Arc::downgrade).collect::<Vec<_>>(),
        );
        from.when_failed(move || {
            if let Some(error) = failed.upgrade().and_then(|failed| failed.failure()) {
                others
                    .iter()
                    .filter_map(Weak::upgrade)
                    .for_each(|other| other.fail(&error));
            }
        });
        for to in shards.iter().filter(|to| to.shard.id != from.shard.id) {
            let (shard, receiver) = (from.shard.id, Arc::downgrade(to));
            let deliver = async move |letter| deliver(&receiver, shard, letter).await?.ok();
            from.tokio.spawn(carry(Arc::downgrade(from), to.shard.id, deliver));
        }
    }
}

/// Carries the messages of a shard to another one until it has closed, or until `deliver` returns nothing. It returns the
/// number of the newest message that the other shard has.
pub(crate) async fn carry(from: Weak<Runtime>, to: ShardId, mut deliver: impl AsyncFnMut(Letter) -> Option<u64>) {
    let Some(mut newest) = from.upgrade().map(|from| from.mail.subscribe(to)) else {
        return;
    };
    let mut courier = Courier::new(to);
    loop {
        let number = *newest.borrow_and_update();
        let Some(sender) = from.upgrade() else { return };
        let letter = match courier.next(number, sender.order.store().as_ref()) {
            Ok(letter) => letter,
            Err(error) => return sender.fail(&error),
        };
        if letter.is_none() {
            // All of them were taken, perhaps before this shard was opened.
            sender.mail.note_taken(to, number);
        }
        drop(sender);
        let Some(letter) = letter else {
            if newest.changed().await.is_err() {
                return;
            }
            continue;
        };
        let Some(taken) = deliver(letter).await else { return };
        courier.answered(taken);
        let Some(sender) = from.upgrade() else { return };
        let input = Input::MailTaken { to, upto: taken };
        let told = sender.send(to.partition(), Envelope::Input(Box::new(input)));
        if told.is_err() {
            return;
        }
        sender.mail.note_taken(to, taken);
    }
}

/// Delivers a letter to a shard of this process. Returns the number of the newest message that it has, or nothing if it has
/// closed.
pub(crate) async fn deliver(to: &Weak<Runtime>, from: ShardId, letter: Letter) -> Option<Result<u64>> {
    let (sender, answer) = oneshot::channel();
    let receiver = to.upgrade()?;
    let envelope = Envelope::Mail {
        from,
        first: letter.first,
        messages: letter.messages,
        reply: Reply { sender, permit: None },
    };
    receiver.send(receiver.shard.id.partition(), envelope).ok()?;
    drop(receiver);
    match answer.await.ok()? {
        Ok(response) => response.number().map(Ok),
        Err(error) => Some(Err(error)),
    }
}

#[cfg(test)]
mod tests;
