//! Dead letters: messages that nobody could process.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use crate::client::handle::Client;
use crate::client::json;
use crate::client::pages::{MAX_PAGE, page, stored_entity};
use crate::client::submit::ask;
use crate::client::unreadable::Unreadable;
use crate::engine::message::Input;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{MessageId, PartitionId};
use crate::store::keys;
use crate::store::records::instance::Order;
use crate::store::records::{self, Action, DeadLetterRecord};

/// A message that could not be processed: a signal to an entity, or a start whose id was in use. It is kept for thirty days, or
/// until there are too many.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Names it for [`Client::redeliver`] and [`Client::drop_dead_letter`].
    pub id: String,
    /// The id of the entity that it was for, or of the orchestration that was to be started.
    pub target: String,
    /// The operation it asked for, or the name of the orchestration.
    pub operation: String,
    /// The operation's arguments, or the orchestration's input, as JSON.
    pub arguments: String,
    /// Who sent it; nothing for a client.
    pub source: Option<String>,
    /// Why it could not be processed.
    pub reason: String,
    /// When it was given up.
    pub dead_lettered_at: SystemTime,
}

/// One page of a list of dead letters. Made by [`Client::dead_letters_page`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeadLetterPage {
    /// The dead letters.
    pub dead_letters: Vec<DeadLetter>,
    /// Further dead letters, whose rows cannot be read. They can be dropped by their ids.
    pub unreadable: Vec<Unreadable>,
    /// What the next page comes after; nothing if this is the last one.
    pub next: Option<String>,
}

impl Client {
    /// All dead letters, partition by partition, oldest first.
    ///
    /// # Errors
    /// What the hub meets.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>> {
        let (mut letters, mut after) = (Vec::new(), None);
        loop {
            let page = self.dead_letters_page(after, MAX_PAGE).await?;
            letters.extend(page.dead_letters);
            after = page.next;
            if after.is_none() {
                return Ok(letters);
            }
        }
    }

    /// Up to `at_most` dead letters, 10 000 at most, behind the page whose `next` is `after`. A page also ends when it holds
    /// more than 4 MiB. In the same order as [`dead_letters`](Self::dead_letters).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`] if `after` is not one of [`DeadLetter::id`], and what the hub meets.
    pub async fn dead_letters_page(&self, after: Option<String>, at_most: usize) -> Result<DeadLetterPage> {
        let after: Option<LetterId> = after.map(|after| after.parse()).transpose()?;
        self.on_blocking_thread(move |view| {
            let after = after.map(|LetterId { partition, message }| (partition, keys::dead_letter(partition, message)));
            let id = |partition: PartitionId, key: &[u8]| {
                let message = keys::message_id_of(key)?;
                Some(LetterId { partition, message }.to_string())
            };
            let found = page(view, keys::dead_letters, after, at_most, id, |id, (_, _, value)| {
                DeadLetter::new(id, records::decode(value, "dead letter")?)
            })?;
            Ok(DeadLetterPage {
                dead_letters: found.rows,
                unreadable: found.unreadable,
                next: found.next,
            })
        })
        .await
    }

    /// Sends a dead letter again, as a new message at the end of its entity's queue. Says whether there was one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`] if `id` is not one of [`DeadLetter::id`], [`ErrorKind::Corrupted`] if its row cannot be read, and
    /// what the hub meets.
    pub async fn redeliver(&self, id: &str) -> Result<bool> {
        self.settle_dead_letter(id, true).await
    }

    /// Forgets a dead letter, also one whose row cannot be read. Says whether there was one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidId`] if `id` is not one of [`DeadLetter::id`], and what the hub meets.
    pub async fn drop_dead_letter(&self, id: &str) -> Result<bool> {
        self.settle_dead_letter(id, false).await
    }

    async fn settle_dead_letter(&self, id: &str, redeliver: bool) -> Result<bool> {
        let LetterId { partition, message } = id.parse()?;
        if partition.0 >= self.runtime()?.partitions {
            return Ok(false);
        }
        let input = move |token| Input::DeadLetter {
            partition,
            id: message,
            redeliver,
            token,
        };
        ask(self.weak(), partition, input).await
    }
}

impl DeadLetter {
    fn new(id: &str, record: DeadLetterRecord) -> Result<Self> {
        let (operation, arguments) = match record.action {
            Action::Operation { operation, arguments } => {
                stored_entity(&record.target)?;
                (operation.into_owned(), arguments)
            }
            Action::Order(order) => match *order {
                Order::Start(start) => (start.name, start.input),
                order => return Err(no_letter(&order)),
            },
            action => return Err(no_letter(&action)),
        };
        Ok(Self {
            id: id.to_owned(),
            target: record.target,
            operation,
            arguments: json::text(arguments),
            source: record.source,
            reason: record.reason,
            dead_lettered_at: record.died.into(),
        })
    }
}

fn no_letter(action: &impl fmt::Debug) -> Error {
    let text = format!("a stored dead letter asks for {action:?}, which never becomes one");
    Error::new(ErrorKind::Corrupted, text)
}

struct LetterId {
    partition: PartitionId,
    message: MessageId,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition.0, self.message)
    }
}

impl FromStr for LetterId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (partition, message) = text.split_once('-')?;
            let (batch, index) = message.split_once('-')?;
            Some(Self {
                partition: PartitionId(partition.parse().ok()?),
                message: MessageId {
                    batch: batch.parse().ok()?,
                    index: index.parse().ok()?,
                },
            })
        };
        parse().ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            Error::new(
                ErrorKind::InvalidId,
                format!(
                    "`{}` names no dead letter; `client.dead_letters()` lists their ids",
                    shown.escape_debug()
                ),
            )
        })
    }
}
