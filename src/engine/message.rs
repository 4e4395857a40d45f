//! What travels: messages to instances, requests of clients, and what the engine answers.

use std::fmt;
use std::time::Duration;

use crate::engine::code::{AsyncFinished, AsyncOperation};
use crate::error::{Error, ErrorKind};
use crate::failure::{CallFailure, Failure};
use crate::id::{ExecutionId, InstanceId, MessageId, PartitionId, Sequence};
use crate::store::keys;
use crate::store::records::instance::{LockOrder, Order};
use crate::store::records::{self, Action, MessageRecord, StepRef};
use crate::trace::TraceContext;

/// Stands for a client that waits. The hub maps it to the client; the engine only gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

impl Token {
    /// Set in the tokens of clients that wait for the end of an orchestration, and in no others.
    const WAIT: u64 = 1 << 63;

    /// The token of the wait of this number.
    pub(crate) fn of_wait(number: u64) -> Self {
        Self(number | Self::WAIT)
    }

    pub(crate) fn is_wait(self) -> bool {
        self.0 & Self::WAIT != 0
    }
}

/// One message to one instance.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) target: InstanceId,
    pub(crate) action: Action,
    pub(crate) origin: Origin,
    /// Whether a row of it exists, which the commit that consumes it has to delete.
    pub(crate) stored: bool,
    /// The trace that it belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// Where a message came from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// From an instance, or from a timer that an instance set.
    Instance(InstanceId),
    /// From an orchestration that waits for the answer.
    Step(InstanceId, StepRef),
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
    /// A message that is not stored and belongs to no trace.
    pub(crate) fn new(id: MessageId, target: InstanceId, action: Action, origin: Origin) -> Self {
        Self {
            id,
            target,
            action,
            origin,
            stored: false,
            trace: None,
        }
    }

    /// The same message, in a trace.
    #[must_use]
    pub(crate) fn in_trace(mut self, trace: Option<Box<TraceContext>>) -> Self {
        self.trace = trace;
        self
    }

    /// Whether the message would be lost with this process if the batch that made it closed without a row of it.
    pub(crate) fn needs_row(&self) -> bool {
        !self.stored
            && match &self.origin {
                Origin::Instance(_) | Origin::Step(..) => true,
                Origin::Client(client) => client.must_store,
            }
    }

    /// Whether it comes from a client that has no acknowledgement yet, so that it can be refused where there is no
    /// room. What instances send each other is never lost.
    pub(crate) fn can_be_refused(&self) -> bool {
        !self.stored && self.client().is_some_and(|client| !client.must_store)
    }

    /// Whether it runs an operation of an entity.
    pub(crate) fn is_operation(&self) -> bool {
        matches!(self.action, Action::Operation { .. })
    }

    /// Whether it sets or cancels a timer.
    pub(crate) fn is_control(&self) -> bool {
        matches!(self.action, Action::Schedule { .. } | Action::Cancel { .. })
    }

    /// Whether it passes the queue of its receiver: what the owner of a lock sends to the locked entity, releases of locks,
    /// and what decides over an orchestration from outside.
    pub(crate) fn is_urgent(&self) -> bool {
        match &self.action {
            Action::Operation { .. } => matches!(&self.origin, Origin::Step(_, step) if step.lock.is_some()),
            Action::Schedule { .. } | Action::Cancel { .. } => false,
            Action::Lock(order) => !matches!(**order, LockOrder::Take { .. }),
            // What an orchestration is told by another one keeps its order. A cancellation passes it, because a child that is
            // suspended or stopped has to hear of it; it takes a start that still waits along.
            Action::Order(order) => match **order {
                Order::CancelChild { .. } => true,
                Order::Terminate { .. }
                | Order::Suspend { .. }
                | Order::Resume { .. }
                | Order::Rewind { .. }
                | Order::Restart
                | Order::Purge { .. } => self.client().is_some(),
                Order::Start(_)
                | Order::Begin { .. }
                | Order::Completed { .. }
                | Order::Raise { .. }
                | Order::LockLost { .. }
                | Order::Awaits { .. }
                | Order::PurgeChild { .. }
                | Order::ChildGone { .. } => false,
            },
        }
    }

    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let payload = match &self.action {
            Action::Operation { arguments, .. } | Action::Schedule { arguments, .. } => arguments.len(),
            Action::Cancel { .. } => 0,
            Action::Lock(order) => order.weight(),
            Action::Order(order) => order.weight(),
        };
        size_of::<Self>() + payload + self.trace.as_ref().map_or(0, |trace| trace.weight())
    }

    /// What it asks of an orchestration, if it is for one.
    pub(crate) fn order(&self) -> Option<&Order> {
        match &self.action {
            Action::Order(order) => Some(order),
            _ => None,
        }
    }

    pub(crate) fn client(&self) -> Option<&ClientOrigin> {
        match &self.origin {
            Origin::Client(client) => Some(client),
            Origin::Instance(_) | Origin::Step(..) => None,
        }
    }

    /// Whether a client waits for the operation's answer.
    pub(crate) fn is_call(&self) -> bool {
        self.client().is_some_and(|client| client.call)
    }

    pub(crate) fn token(&self) -> Option<Token> {
        self.client().and_then(|client| client.token)
    }

    /// Takes out the token of the client that waits, if there is one.
    pub(crate) fn take_token(&mut self) -> Option<Token> {
        match &mut self.origin {
            Origin::Client(client) => client.token.take(),
            Origin::Instance(_) | Origin::Step(..) => None,
        }
    }

    /// The sender as it is stored.
    pub(crate) fn source(&self) -> Option<String> {
        match &self.origin {
            Origin::Instance(id) | Origin::Step(id, _) => Some(id.as_str().to_owned()),
            Origin::Client(_) => None,
        }
    }

    /// Which step of the sender waits for the answer.
    pub(crate) fn step(&self) -> Option<StepRef> {
        match &self.origin {
            Origin::Step(_, step) => Some(*step),
            Origin::Instance(_) | Origin::Client(_) => None,
        }
    }

    /// The row of this message.
    pub(crate) fn row(&self, partition: PartitionId) -> crate::Result<(Vec<u8>, Vec<u8>)> {
        let record = MessageRecord {
            source: self.source(),
            step: self.step(),
            action: self.action.clone(),
            call: self.is_call(),
            request: self.client().and_then(|client| client.request.clone()),
            trace: self.trace.clone(),
        };
        Ok((self.key(partition), records::encode(&record)?))
    }

    /// The key of the row of this message.
    pub(crate) fn key(&self, partition: PartitionId) -> Vec<u8> {
        if self.is_urgent() {
            keys::urgent(partition, &self.target, self.id)
        } else {
            keys::message(partition, &self.target, self.id)
        }
    }

    /// Reads the row of a message for `target`.
    pub(crate) fn from_row(target: &InstanceId, key: &[u8], value: &[u8]) -> crate::Result<Self> {
        let record: MessageRecord = records::decode(value, "message")?;
        let id = keys::message_id_of(key)
            .ok_or_else(|| Error::new(ErrorKind::Corrupted, "the key of a stored message is too short"))?;
        let origin = match (record.source, record.step) {
            (Some(source), Some(step)) => Origin::Step(InstanceId::trusted(source), step),
            (Some(source), None) => Origin::Instance(InstanceId::trusted(source)),
            (None, _) => Origin::Client(ClientOrigin {
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
            trace: record.trace,
        })
    }
}

/// A client that waits for the end of an orchestration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) token: Token,
    /// Whether a stop ends the waiting, too.
    pub(crate) hears_stops: bool,
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
    /// An attempt of an activity has ended.
    ActivityEnded {
        activity: ActivityKey,
        attempt: u32,
        ended: ActivityEnd,
    },
    /// A client does not wait any more for the end of an orchestration.
    Forget { instance: InstanceId, token: Token },
    /// A client waits for the end of an orchestration.
    Wait { instance: InstanceId, waiter: Waiter },
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

/// Names one activity of one execution, whatever the attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ActivityKey {
    pub(crate) instance: InstanceId,
    pub(crate) execution: ExecutionId,
    pub(crate) sequence: Sequence,
}

impl fmt::Display for ActivityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.instance, self.execution, self.sequence)
    }
}

/// How an attempt of an activity ended.
#[derive(Debug)]
pub(crate) enum ActivityEnd {
    /// It returned its answer as JSON.
    Answer(Vec<u8>),
    /// It returned an error.
    Returned(Failure),
    /// It panicked, ran out of time, or its input or answer could not be read or written.
    Runtime(Error),
    /// It ran out of time and cannot be ended. It keeps its slot until it ends once more.
    Lingers(Error),
    /// It was canceled because the hub closes, and has ended: the next open runs it again.
    Abandoned,
}

/// How an `async` operation ended.
pub(crate) enum AsyncEnded {
    /// It returned.
    Finished(AsyncFinished),
    /// It panicked with this text.
    Panicked(String),
    /// It ran longer than its limit, and is gone.
    TimedOut,
    /// It ran longer than its limit and blocks its thread, so that it cannot be ended yet. It ends once more.
    Lingers,
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
    /// Run an attempt of an activity.
    StartActivity {
        activity: ActivityKey,
        name: String,
        input: Vec<u8>,
        attempt: u32,
        /// The execution that first asked for it.
        asked_by: ExecutionId,
        /// The limit of this call, if it has one of its own.
        timeout: Option<Duration>,
    },
    /// Nobody wants the result of an activity any more: tell it so.
    CancelActivity { activity: ActivityKey },
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
    /// The instance's queue is full: come again with the message when there is room.
    Full(Box<Message>),
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
            Self::StartActivity {
                activity,
                name,
                attempt,
                ..
            } => {
                write!(f, "start activity {name} {activity}, attempt {attempt}")
            }
            Self::CancelActivity { activity } => write!(f, "cancel activity {activity}"),
            Self::Room { instance } => write!(f, "room {instance}"),
        }
    }
}
