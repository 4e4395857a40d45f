//! Messages to instances, requests of clients, and the outputs of the engine.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::changes::NotedChange;
use crate::engine::code::{AsyncFinished, AsyncOperation};
use crate::engine::spans::FinishedSpan;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::{ActivityKey, ExecutionId, InstanceId, MessageId, PartitionId, ShardId};
use crate::model::orchestration::{LockOrder, Order};
use crate::model::{self, Action, MailRecord, MessageRecord, Outcome, StepRef};
use crate::schema;
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// Identifies a waiting client. The hub maps it to the client. The engine only returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Token(pub(crate) u64);

impl Token {
    /// Set only in the tokens of clients that wait for the end of an orchestration.
    const WAIT: u64 = 1 << 63;

    /// Returns the token of the wait with this number.
    pub(crate) fn of_wait(number: u64) -> Self {
        Self(number | Self::WAIT)
    }

    pub(crate) fn is_wait(self) -> bool {
        self.0 & Self::WAIT != 0
    }
}

/// A message to one instance.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) target: InstanceId,
    pub(crate) action: Action,
    pub(crate) origin: Origin,
    /// True if the message has a row. The commit that consumes the message has to delete the row.
    pub(crate) stored: bool,
    /// The trace that the message belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// The origin of a message.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// An instance, or a timer that an instance set.
    Instance(InstanceId),
    /// A step of an orchestration that waits for the answer.
    Step(InstanceId, StepRef),
    /// A client.
    Client(ClientOrigin),
}

/// The options that a client sent with the action.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientOrigin {
    /// The waiting client, if there still is one.
    pub(crate) token: Option<Token>,
    /// True if the client waits for the answer, false if it waits only until the message is durable.
    pub(crate) call: bool,
    /// The request id. Requests with the same id take effect once.
    pub(crate) request: Option<String>,
    /// True if the client prefers an error to waiting for room.
    pub(crate) refuse_when_full: bool,
    /// True for a message that the hub created itself, such as a fired timer. It has to be stored like a message of an
    /// instance.
    pub(crate) must_store: bool,
    /// The trace in which the client sends the message. The message takes it over.
    pub(crate) trace: Option<Box<TraceContext>>,
}

impl Origin {
    /// Returns the origin of a message that the hub recreates from a stored source. The message has to be stored like
    /// any other, and no client waits for it.
    pub(crate) fn of_stored(source: Option<InstanceId>) -> Self {
        match source {
            Some(source) => Self::Instance(source),
            None => Self::Client(ClientOrigin {
                must_store: true,
                ..ClientOrigin::default()
            }),
        }
    }
}

impl Message {
    /// Creates a message that is not stored and belongs to no trace.
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

    /// Returns the message with this trace.
    #[must_use]
    pub(crate) fn in_trace(mut self, trace: Option<Box<TraceContext>>) -> Self {
        self.trace = trace;
        self
    }

    /// Returns `true` if the message would be lost with the process unless the batch that created it contains a row of
    /// it.
    pub(crate) fn needs_row(&self) -> bool {
        !self.stored
            && match &self.origin {
                Origin::Instance(_) | Origin::Step(..) => true,
                Origin::Client(client) => client.must_store,
            }
    }

    /// Returns `true` if the message comes from a client and is not acknowledged, so it can be refused if there is no
    /// room. Messages between instances are never lost.
    pub(crate) fn can_be_refused(&self) -> bool {
        !self.stored && self.client().is_some_and(|client| !client.must_store)
    }

    /// Returns `true` if the message requests an operation of an entity.
    pub(crate) fn is_operation(&self) -> bool {
        matches!(self.action, Action::Operation { .. })
    }

    /// Returns `true` if the message sets or cancels a timer.
    pub(crate) fn is_control(&self) -> bool {
        matches!(self.action, Action::Schedule { .. } | Action::Cancel { .. })
    }

    /// Returns `true` if the message bypasses the queue of its receiver. This applies to calls by the owner of a lock
    /// to the locked entity, releases of locks, and management orders to orchestrations.
    pub(crate) fn has_priority(&self) -> bool {
        match &self.action {
            Action::Operation { .. } => matches!(&self.origin, Origin::Step(_, step) if step.lock.is_some()),
            Action::Schedule { .. } | Action::Cancel { .. } => false,
            Action::Lock(order) => !matches!(**order, LockOrder::Take { .. }),
            // Orders between orchestrations keep their order. A cancellation bypasses it, because a suspended or
            // stopped child has to receive the cancellation. It withdraws a start that still waits.
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

    /// Returns the approximate memory of the message in bytes.
    pub(crate) fn weight(&self) -> usize {
        let payload = match &self.action {
            Action::Operation { arguments, .. } | Action::Schedule { arguments, .. } => arguments.len(),
            Action::Cancel { .. } => 0,
            Action::Lock(order) => order.weight(),
            Action::Order(order) => order.weight(),
        };
        size_of::<Self>() + payload + self.trace.as_ref().map_or(0, |trace| trace.weight())
    }

    /// Returns the order that the message contains, if it is for an orchestration.
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

    /// Returns `true` if a client waits for the answer of the operation.
    pub(crate) fn is_call(&self) -> bool {
        self.client().is_some_and(|client| client.call)
    }

    pub(crate) fn token(&self) -> Option<Token> {
        self.client().and_then(|client| client.token)
    }

    /// Takes the token of the waiting client, if there is one.
    pub(crate) fn take_token(&mut self) -> Option<Token> {
        match &mut self.origin {
            Origin::Client(client) => client.token.take(),
            Origin::Instance(_) | Origin::Step(..) => None,
        }
    }

    /// Returns the sender, if it is not a client.
    pub(crate) fn source(&self) -> Option<InstanceId> {
        match &self.origin {
            Origin::Instance(id) | Origin::Step(id, _) => Some(id.clone()),
            Origin::Client(_) => None,
        }
    }

    /// Returns the step of the sender that waits for the answer.
    pub(crate) fn step(&self) -> Option<StepRef> {
        match &self.origin {
            Origin::Step(_, step) => Some(*step),
            Origin::Instance(_) | Origin::Client(_) => None,
        }
    }

    /// Returns the key and value of the message's row.
    pub(crate) fn row(&self, partition: PartitionId) -> Result<(Vec<u8>, Vec<u8>)> {
        Ok((self.key(partition), model::encode(&self.record())?))
    }

    /// Returns what is stored of the message.
    pub(crate) fn record(&self) -> MessageRecord {
        MessageRecord {
            source: self.source(),
            step: self.step(),
            action: self.action.clone(),
            call: self.is_call(),
            request: self.client().and_then(|client| client.request.clone()),
            trace: self.trace.clone(),
        }
    }

    /// Returns the key of the message's row.
    pub(crate) fn key(&self, partition: PartitionId) -> Vec<u8> {
        if self.has_priority() {
            schema::priority::key(partition, &self.target, self.id)
        } else {
            schema::message::key(partition, &self.target, self.id)
        }
    }

    /// Reads the row of a message for `target`.
    pub(crate) fn from_row(target: &InstanceId, key: &[u8], value: &[u8]) -> Result<Self> {
        let record: MessageRecord = model::decode(value, "message")?;
        let id = schema::message::id_of(key)
            .ok_or_else(|| Error::new(ErrorKind::Corrupted, "the key of a stored message is too short"))?;
        Ok(Self {
            stored: true,
            ..Self::from_record(id, target.clone(), record)
        })
    }

    /// Returns the message that was stored elsewhere as `record`.
    pub(crate) fn from_record(id: MessageId, target: InstanceId, record: MessageRecord) -> Self {
        let origin = match (record.source, record.step) {
            (Some(source), Some(step)) => Origin::Step(source, step),
            (Some(source), None) => Origin::Instance(source),
            (None, _) => Origin::Client(ClientOrigin {
                call: record.call,
                request: record.request,
                ..ClientOrigin::default()
            }),
        };
        Self::new(id, target, record.action, origin).in_trace(record.trace)
    }
}

/// The event that ends the wait of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WaitUntil {
    /// The end of the orchestration.
    End,
    /// The end of the orchestration, or a stop.
    EndOrStop,
}

/// A client that waits for the end of an orchestration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) token: Token,
    pub(crate) until: WaitUntil,
}

/// An input of a core.
pub(crate) enum Input {
    /// A request of a client to an instance.
    Request {
        target: InstanceId,
        action: Action,
        client: ClientOrigin,
    },
    /// A message that another core wrote for an instance of this core, in the commit with this number.
    Delivery { message: Message, commit: u64 },
    /// Messages of another shard, of which the first one has the number `first`. The answer is the number of the newest
    /// message of that shard that this one has.
    Mail {
        from: ShardId,
        first: u64,
        messages: Vec<MailRecord>,
        token: Token,
    },
    /// Another shard has the messages up to this number.
    MailTaken { to: ShardId, upto: u64 },
    /// Messages for this core were written but not delivered. The core has to read its rows.
    Spilled,
    /// The end of an attempt of an activity.
    ActivityEnded {
        activity: ActivityKey,
        attempt: u32,
        ended: ActivityEnd,
        /// The span of the attempt, if it has one that was not reported before.
        span: Option<Box<FinishedSpan>>,
    },
    /// A client no longer waits for the end of an orchestration.
    Forget { instance: InstanceId, token: Token },
    /// A client waits for the end of an orchestration.
    Wait { instance: InstanceId, waiter: Waiter },
    /// The end of an `async` operation.
    AsyncEnded {
        instance: InstanceId,
        message: MessageId,
        ended: AsyncEnded,
    },
    /// An operator releases a quarantined or held instance.
    Resume { instance: InstanceId, token: Token },
    /// An operator deletes the kept changes of an entity.
    DeleteChanges { instance: InstanceId, token: Token },
    /// An operator redelivers or deletes a dead letter.
    DeadLetter {
        partition: PartitionId,
        id: MessageId,
        fate: LetterFate,
        token: Token,
    },
}

/// A request of an operator, which is answered with `true` or `false`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum OperatorRequest {
    /// Release a quarantined or held entity.
    Resume(InstanceId),
    /// Delete the kept changes of an entity.
    DeleteChanges(InstanceId),
    /// Redeliver or delete a dead letter.
    DeadLetter {
        partition: PartitionId,
        id: MessageId,
        fate: LetterFate,
    },
}

impl OperatorRequest {
    /// Returns the partition whose core answers the request.
    pub(crate) fn partition(&self, partitions: u16) -> PartitionId {
        match self {
            Self::Resume(instance) | Self::DeleteChanges(instance) => instance.partition(partitions),
            Self::DeadLetter { partition, .. } => *partition,
        }
    }

    /// Returns the input for the core. The answer is for the client with this token.
    pub(crate) fn into_input(self, token: Token) -> Input {
        match self {
            Self::Resume(instance) => Input::Resume { instance, token },
            Self::DeleteChanges(instance) => Input::DeleteChanges { instance, token },
            Self::DeadLetter { partition, id, fate } => Input::DeadLetter {
                partition,
                id,
                fate,
                token,
            },
        }
    }
}

/// The decision of an operator about a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LetterFate {
    Redeliver,
    Drop,
}

/// The end of an attempt of an activity.
#[derive(Debug)]
pub(crate) enum ActivityEnd {
    /// The attempt has ended. A panic, an exceeded time limit, and an input or answer that does not convert from or to
    /// JSON are errors of the runtime.
    Ended(Outcome),
    /// The attempt exceeded its time limit and cannot be stopped. It keeps its slot until its actual end.
    Lingers(Error),
    /// The attempt was canceled because the hub closes, and has ended. The next open runs it again.
    Abandoned,
}

impl From<Outcome> for ActivityEnd {
    fn from(outcome: Outcome) -> Self {
        Self::Ended(outcome)
    }
}

/// The end of an `async` operation.
pub(crate) enum AsyncEnded {
    /// The operation returned.
    Finished(AsyncFinished),
    /// The operation panicked with this text.
    Panicked(String),
    /// The operation exceeded its time limit and was dropped.
    TimedOut,
    /// The operation exceeded its time limit and blocks its thread, so it cannot be stopped. Its actual end is a
    /// further input.
    Lingers,
}

/// An action that is due when the commit of its step is durable.
pub(crate) enum Output {
    /// A response to a client.
    Settle { token: Token, settled: Response },
    /// An effect outside of the core.
    Effect(Effect),
}

/// An effect outside of a core.
pub(crate) enum Effect {
    /// Start an `async` operation.
    StartOperation {
        instance: InstanceId,
        message: MessageId,
        operation: AsyncOperation,
    },
    /// Start an attempt of an activity. Boxed because it is large.
    StartActivity(Box<StartActivity>),
    /// Cancel an activity whose result is no longer needed.
    CancelActivity { activity: ActivityKey },
    /// Wake the clients that wait for room in the queue of the instance.
    Room { instance: InstanceId },
    /// Send the messages to another shard, of which the newest one has this number.
    Mail { to: ShardId, newest: u64 },
    /// Send changes to the watchers of the hub.
    Changes(Vec<NotedChange>),
    /// Export a span.
    Span(Box<FinishedSpan>),
}

/// An attempt of an activity to start.
pub(crate) struct StartActivity {
    pub(crate) activity: ActivityKey,
    pub(crate) name: String,
    pub(crate) input: Vec<u8>,
    pub(crate) attempt: u32,
    /// The execution that first requested the activity.
    pub(crate) asked_by: ExecutionId,
    /// Timeout of this call. Defaults to the limit of the activity.
    pub(crate) timeout: Option<Duration>,
    /// The time at which it was requested, or at which this life found its row.
    pub(crate) since: Timestamp,
    /// The trace that the orchestration belongs to, with the span of the step that requests it.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// A response to a client. `D` identifies the place where a client waits for room.
#[derive(Clone, Debug)]
pub(crate) enum Response<D = ()> {
    /// The answer of the operation as JSON.
    Answer(Vec<u8>),
    /// The message is durable.
    Accepted,
    /// The request failed. Boxed because it is rare and large.
    Failed(Box<CallFailure>),
    /// The queue of the instance is full. The client sends the message again when there is room.
    Full { message: Box<Message>, door: D },
}

impl<D> Response<D> {
    /// Returns the response with a number.
    pub(crate) fn of_number(number: u64) -> Self {
        Self::Answer(number.to_string().into_bytes())
    }

    /// Returns the number in the response, if it has one.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Answer(number) => std::str::from_utf8(number).ok()?.parse().ok(),
            _ => None,
        }
    }
}

impl Response {
    /// Returns the response with the door that `door` returns for the instance.
    pub(crate) fn at_door<D>(self, door: impl FnOnce(&InstanceId) -> D) -> Response<D> {
        match self {
            Self::Answer(answer) => Response::Answer(answer),
            Self::Accepted => Response::Accepted,
            Self::Failed(failure) => Response::Failed(failure),
            Self::Full { message, door: () } => Response::Full {
                door: door(&message.target),
                message,
            },
        }
    }
}

impl Response {
    pub(crate) fn runtime(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Failed(Box::new(CallFailure::Runtime(Error::new(kind, message))))
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settle { token, settled } => write!(f, "settle {token:?}: {settled:?}"),
            Self::Effect(effect) => effect.fmt(f),
        }
    }
}

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartOperation { instance, message, .. } => write!(f, "start {instance} {message}"),
            Self::StartActivity(start) => write!(
                f,
                "start activity {} {}, attempt {}",
                start.name, start.activity, start.attempt
            ),
            Self::CancelActivity { activity } => write!(f, "cancel activity {activity}"),
            Self::Room { instance } => write!(f, "room {instance}"),
            Self::Mail { to, newest } => write!(f, "mail to shard {} up to {newest}", to.0),
            Self::Changes(changes) => write!(f, "{} changes", changes.len()),
            Self::Span(span) => write!(f, "span {} of {}", span.name, span.context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The memory of a message includes its payload and its trace.
    #[test]
    fn a_message_weighs_as_much_as_its_parts() {
        let message = |bytes: usize| {
            let action = Action::Operation {
                operation: "add".into(),
                arguments: vec![b'1'; bytes],
            };
            Message::new(
                MessageId::MIN,
                InstanceId::trusted("@a@k"),
                action,
                Origin::of_stored(None),
            )
        };
        let empty = message(0).weight();
        assert_eq!(message(100).weight(), empty + 100);
        let trace = TraceContext::new([1; 16]);
        let traced = message(100).in_trace(Some(Box::new(trace.clone())));
        assert_eq!(traced.weight(), empty + 100 + trace.weight());
    }
}
