//! What travels: messages to instances, requests of clients, and what the engine answers.

use std::fmt;

use crate::engine::code::{AsyncFinished, AsyncOperation};
use crate::error::{Error, ErrorKind};
use crate::failure::CallFailure;
use crate::id::{InstanceId, MessageId, PartitionId};
use crate::store::keys;
use crate::store::records::{self, Action, MessageRecord};

/// Stands for a client that waits. The hub maps it to the client; the engine only gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

/// One message to one instance.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) target: InstanceId,
    pub(crate) action: Action,
    pub(crate) origin: Origin,
    /// Whether a row of it exists, which the commit that consumes it has to delete.
    pub(crate) stored: bool,
}

/// Where a message came from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// From an instance, or from a timer that an instance set.
    Instance(InstanceId),
    /// From a client.
    Client(ClientOrigin),
}

/// What a client said beside the action.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientOrigin {
    /// Who waits, if the client is still there.
    pub(crate) token: Option<Token>,
    /// Whether the client waits for the answer, or only for the message to be durable.
    pub(crate) call: bool,
    /// Makes retries take effect once.
    pub(crate) request: Option<String>,
    /// The client wants an error instead of waiting for room.
    pub(crate) refuse_when_full: bool,
    /// The message was made by the hub on its own (a timer that fired): it has to be stored like one of an instance.
    pub(crate) must_store: bool,
}

impl Origin {
    /// The origin of a message that the hub makes again from a stored source: it has to be stored like any other, and
    /// nobody waits for it.
    pub(crate) fn of_stored(source: Option<String>) -> Self {
        match source {
            Some(source) => Self::Instance(InstanceId::trusted(source)),
            None => Self::Client(ClientOrigin {
                must_store: true,
                ..ClientOrigin::default()
            }),
        }
    }
}

impl Message {
    /// Whether the message would be lost with this process if the batch that made it closed without a row of it.
    pub(crate) fn needs_row(&self) -> bool {
        !self.stored
            && match &self.origin {
                Origin::Instance(_) => true,
                Origin::Client(client) => client.must_store,
            }
    }

    /// Whether it runs an operation; any other sets or cancels a timer.
    pub(crate) fn is_operation(&self) -> bool {
        matches!(self.action, Action::Operation { .. })
    }

    pub(crate) fn client(&self) -> Option<&ClientOrigin> {
        match &self.origin {
            Origin::Client(client) => Some(client),
            Origin::Instance(_) => None,
        }
    }

    /// Whether a client waits for the operation's answer.
    pub(crate) fn is_call(&self) -> bool {
        self.client().is_some_and(|client| client.call)
    }

    pub(crate) fn token(&self) -> Option<Token> {
        self.client().and_then(|client| client.token)
    }

    /// The sender as it is stored.
    pub(crate) fn source(&self) -> Option<String> {
        match &self.origin {
            Origin::Instance(id) => Some(id.as_str().to_owned()),
            Origin::Client(_) => None,
        }
    }

    /// The row of this message.
    pub(crate) fn row(&self, partition: PartitionId) -> crate::Result<(Vec<u8>, Vec<u8>)> {
        let record = MessageRecord {
            source: self.source(),
            action: self.action.clone(),
            call: self.is_call(),
            request: self.client().and_then(|client| client.request.clone()),
        };
        let key = keys::message(partition, &self.target, self.id);
        Ok((key, records::encode(&record)?))
    }

    /// Reads the row of a message for `target`.
    pub(crate) fn from_row(target: &InstanceId, key: &[u8], value: &[u8]) -> crate::Result<Self> {
        let record: MessageRecord = records::decode(value, "message")?;
        let id = keys::message_id_of(key)
            .ok_or_else(|| Error::new(ErrorKind::Corrupted, "the key of a stored message is too short"))?;
        let origin = match record.source {
            Some(source) => Origin::Instance(InstanceId::trusted(source)),
            None => Origin::Client(ClientOrigin {
                call: record.call,
                request: record.request,
                ..ClientOrigin::default()
            }),
        };
        Ok(Self {
            id,
            target: target.clone(),
            action: record.action,
            origin,
            stored: true,
        })
    }
}

/// What reaches a core from outside.
pub(crate) enum Input {
    /// A client asks something of an instance.
    Request {
        target: InstanceId,
        action: Action,
        client: ClientOrigin,
    },
    /// Another core wrote a message for an instance of this one, in the commit of this number.
    Delivery { message: Message, commit: u64 },
    /// Messages were written for this core and not delivered: it has to read its rows.
    Spilled,
    /// An `async` operation has ended.
    AsyncEnded {
        instance: InstanceId,
        message: MessageId,
        ended: AsyncEnded,
    },
    /// An operator lets a quarantined or held instance go on.
    Resume { instance: InstanceId, token: Token },
    /// An operator sends a dead letter again, or drops it.
    DeadLetter {
        partition: PartitionId,
        id: MessageId,
        redeliver: bool,
        token: Token,
    },
}

/// How an `async` operation ended.
pub(crate) enum AsyncEnded {
    /// It returned.
    Finished(AsyncFinished),
    /// It panicked with this text.
    Panicked(String),
    /// It ran longer than its limit.
    TimedOut,
}

/// What a core wants done when the commit of its step is durable.
pub(crate) enum Output {
    /// Tell a client.
    Settle { token: Token, settled: Settled },
    /// Run an `async` operation.
    Start {
        instance: InstanceId,
        message: MessageId,
        operation: AsyncOperation,
    },
    /// The instance takes messages of clients again.
    Room { instance: InstanceId },
}

/// What a client is told.
#[derive(Clone, Debug)]
pub(crate) enum Settled {
    /// The operation's answer, as JSON.
    Answer(Vec<u8>),
    /// The message is durable.
    Accepted,
    /// There is no answer. Boxed, because it is rare and large.
    Failed(Box<CallFailure>),
    /// The instance's queue is full: come again with the action when there is room.
    Full(Box<Action>),
}

impl Settled {
    pub(crate) fn runtime(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Failed(Box::new(CallFailure::Runtime(Error::new(kind, message))))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settle { token, settled } => write!(f, "settle {token:?}: {settled:?}"),
            Self::Start { instance, message, .. } => write!(f, "start {instance} {message}"),
            Self::Room { instance } => write!(f, "room {instance}"),
        }
    }
}
