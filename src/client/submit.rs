//! Delivery of a client's message to its instance, and the wait for the outcome.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot};

use crate::client::handle::Client;
use crate::engine::code::{EntityCode, OrchestrationCode};
use crate::engine::message::{ClientOrigin, Message, OperatorRequest, Origin};
use crate::engine::{Registry, version_text};
use crate::entity::caller::Request;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::{InstanceId, PartitionId, check_name, check_path_name, check_tags};
use crate::model::Action;
use crate::model::orchestration::{Order, StartRecord};
use crate::runtime::{Envelope, HubRef, Reply, Response, Runtime};
use crate::trace::TraceContext;

/// A message of a client that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) target: InstanceId,
    pub(crate) action: Action,
    /// `true` to wait for the answer, `false` to wait only until the message is durable.
    pub(crate) call: bool,
    pub(crate) request_id: Option<String>,
    pub(crate) refuse_when_full: bool,
    /// The trace that the message belongs to, unless it is that of the caller.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// Options for sending a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct SendOptions {
    /// Makes retries idempotent.
    pub(crate) request_id: Option<String>,
    /// Fails instead of waiting for room.
    pub(crate) refuse_when_full: bool,
}

impl Submission {
    /// Calls an operation: the sender waits for the answer.
    #[inline]
    pub(crate) fn call(request: Request) -> Self {
        Self {
            call: true,
            ..Self::signal(request)
        }
    }

    /// Signals an operation: the sender waits until the message is durable.
    #[inline]
    pub(crate) fn signal(request: Request) -> Self {
        Self {
            target: request.target.into_instance(),
            action: Action::Operation {
                operation: request.operation,
                arguments: request.arguments,
            },
            call: false,
            request_id: request.request_id,
            refuse_when_full: request.refuse_when_full,
            trace: None,
        }
    }

    /// Creates an order to an orchestration. The sender waits for the answer.
    pub(crate) fn order(target: InstanceId, order: Order) -> Self {
        Self {
            target,
            action: Action::Order(Box::new(order)),
            call: true,
            request_id: None,
            refuse_when_full: false,
            trace: None,
        }
    }

    /// Sets the options for sending it.
    pub(crate) fn with(self, sending: SendOptions) -> Self {
        Self {
            request_id: sending.request_id,
            refuse_when_full: sending.refuse_when_full,
            ..self
        }
    }

    /// Sends the message and waits until it is settled.
    pub(crate) fn run(self, hub: Arc<HubRef>) -> Sending {
        Sending::new(Ok(self), hub)
    }

    /// Restores the submission of a message that found the queue of its instance full.
    fn again(message: Message) -> Self {
        let client = match message.origin {
            Origin::Client(client) => client,
            Origin::Instance(_) | Origin::Step(..) => ClientOrigin::default(),
        };
        Self {
            target: message.target,
            action: message.action,
            call: client.call,
            request_id: client.request,
            refuse_when_full: client.refuse_when_full,
            trace: message.trace,
        }
    }

    /// Takes a permit of the hub's room. Returns `None` if there is no room and the submission may wait.
    fn take_room(&self, runtime: &Runtime, partition: PartitionId) -> Result<Option<OwnedSemaphorePermit>> {
        match Arc::clone(self.room(runtime, partition)).try_acquire_owned() {
            Ok(permit) => Ok(Some(permit)),
            Err(TryAcquireError::Closed) => Err(runtime.end_reason()),
            Err(TryAcquireError::NoPermits) if self.refuse_when_full => Err(no_room()),
            Err(TryAcquireError::NoPermits) => Ok(None),
        }
    }

    /// Converts the submission to the envelope for its executor.
    fn into_envelope(self, runtime: &Runtime, reply: Reply) -> Envelope<Reply> {
        Envelope::Request {
            target: self.target,
            action: self.action,
            client: ClientOrigin {
                token: None,
                call: self.call,
                request: self.request_id,
                refuse_when_full: self.refuse_when_full,
                must_store: false,
                trace: self.trace.or_else(|| runtime.current_trace()),
            },
            reply,
        }
    }

    /// Returns the semaphore that the submission takes a permit from.
    fn room<'a>(&self, runtime: &'a Runtime, partition: PartitionId) -> &'a Arc<Semaphore> {
        let is_of_operator = match &self.action {
            Action::Order(order) => !matches!(**order, Order::Start(_) | Order::Raise { .. }),
            Action::Lock(_) => true,
            _ => false,
        };
        let share = runtime.share_of(partition);
        if is_of_operator {
            &share.operators
        } else {
            &share.clients
        }
    }

    /// Refuses a submission that cannot succeed, before anything is stored.
    fn check(&self, runtime: &Runtime) -> Result<()> {
        if let Some(request) = &self.request_id {
            check_name("request id", request)?;
        }
        match &self.action {
            Action::Operation { operation, arguments } => self.check_operation(operation, arguments, runtime),
            Action::Schedule {
                timer,
                operation,
                arguments,
                ..
            } => {
                check_name("timer id", timer)?;
                self.check_operation(operation, arguments, runtime)
            }
            Action::Cancel { timer } => {
                check_name("timer id", timer)?;
                self.entity_code(runtime).map(|_| ())
            }
            // The lock of an entity can be released even if its type is no longer registered.
            Action::Lock(_) => Ok(()),
            Action::Order(order) => check_order(&self.target, order, runtime),
        }
    }

    fn entity_code<'a>(&self, runtime: &'a Runtime) -> Result<&'a dyn EntityCode> {
        let name = self.target.entity_name();
        match runtime.registry.entity(name) {
            Some(code) => Ok(code.as_ref()),
            None => Err(Error::new(
                ErrorKind::Unregistered,
                format!("the entity type `{name}` is not registered; add `.entity::<…>()` to the hub's builder"),
            )),
        }
    }

    fn check_operation(&self, operation: &str, arguments: &[u8], runtime: &Runtime) -> Result<()> {
        let code = self.entity_code(runtime)?;
        if code.find(operation).is_none() && !operation.eq_ignore_ascii_case("delete") {
            return Err(Error::new(
                ErrorKind::UnknownOperation,
                format!(
                    "the entity type `{}` has no operation `{operation}`; it has {}",
                    code.name(),
                    code.operations().join(", ")
                ),
            ));
        }
        check_payload(
            arguments,
            || format!("the arguments of `{operation}` for `{}`", self.target),
            runtime,
        )
    }
}

/// Refuses an order that cannot succeed.
fn check_order(target: &InstanceId, order: &Order, runtime: &Runtime) -> Result<()> {
    match order {
        Order::Start(start) => check_start(target, start, runtime),
        Order::Raise { name, payload, .. } => {
            check_path_name("event name", name)?;
            check_payload(payload, || format!("the payload of `{name}` for `{target}`"), runtime)
        }
        Order::Terminate { reason, .. }
        | Order::Suspend { reason }
        | Order::Resume { reason }
        | Order::Rewind { reason, .. } => {
            check_payload(reason.as_bytes(), || format!("the reason given to `{target}`"), runtime)
        }
        // All others have no payload or are never sent by a client.
        _ => Ok(()),
    }
}

fn check_start(target: &InstanceId, start: &StartRecord, runtime: &Runtime) -> Result<()> {
    let StartRecord { name, version, .. } = start;
    let code = code_of(&runtime.registry, name, version.as_deref())?;
    check_payload(&start.input, || format!("the input of `{target}`"), runtime)?;
    check_tags(&start.tags)?;
    code.check_input(&start.input).map_err(|reason| {
        Error::new(
            ErrorKind::InvalidArguments,
            format!("the input of `{name}` for `{target}` does not decode: {reason}"),
        )
    })
}

impl Client {
    /// Refuses a start that cannot succeed.
    ///
    /// # Errors
    /// Returns the same errors as [`Client::start`] before anything is stored.
    pub(crate) fn check_start(&self, target: &InstanceId, start: &StartRecord) -> Result<()> {
        check_start(target, start, &*self.runtime()?)
    }
}

/// Returns the code that a start would run.
///
/// # Errors
/// Returns an error of kind [`ErrorKind::Unregistered`] if the name, or this version of it, is not registered.
fn code_of<'a>(registry: &'a Registry, name: &str, version: Option<&str>) -> Result<&'a dyn OrchestrationCode> {
    let versions = registry.versions(name);
    let code = match version {
        Some(version) => versions.iter().find(|code| code.version() == version),
        None => versions.last(),
    };
    if let Some(code) = code {
        return Ok(code.as_ref());
    }
    let text = if versions.is_empty() {
        format!("the orchestration `{name}` is not registered; add `.orchestration::<…>()` to the hub's builder")
    } else {
        format!(
            "the orchestration `{name}` is not registered in version {}; registered versions: {}",
            version_text(version.unwrap_or_default()),
            registry.known_versions(name)
        )
    };
    Err(Error::new(ErrorKind::Unregistered, text))
}

/// Refuses a payload that exceeds the limit. `what` names the payload in the error.
fn check_payload(payload: &[u8], what: impl FnOnce() -> String, runtime: &Runtime) -> Result<()> {
    let (bytes, limit) = (payload.len(), runtime.limits.payload_bytes);
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!(
            "{}: {bytes} bytes, but the limit is {limit}; send less at once, or raise `payload_limit`",
            what()
        ),
    ))
}

/// A future that sends a submission and resolves when it is settled. `Response::Full` is not among the outcomes.
///
/// It is written by hand because every request in flight has one: it is small and allocates no other memory.
#[derive(Debug)]
pub(crate) struct Sending {
    /// The submission that has not been sent yet, or must be sent again. It is stored beside the stage so that it is
    /// copied only once, into the envelope.
    submission: Option<Submission>,
    stage: Stage,
    hub: Arc<HubRef>,
    /// True if the message may have been accepted.
    was_sent: bool,
}

/// The progress of a submission. No stage keeps the runtime alive: a waiting client must not hold the store of a closed
/// hub open. The hub owns a sent submission and returns it if it must be sent again, so threads share nothing of it.
enum Stage {
    /// The submission has not been checked yet.
    New,
    /// The submission could not be created.
    Refused(Error),
    /// The executor of its instance has no room.
    NoRoom(Waiting<Result<OwnedSemaphorePermit, AcquireError>>),
    /// The submission was sent to an instance of this partition, and the receiver gets the reply.
    Sent(oneshot::Receiver<Result<Response>>, PartitionId),
    /// The queue of its instance was full.
    Full(Waiting<()>),
    /// The hub moves to another node.
    Moves(Waiting<()>),
    /// The submission is settled.
    Done,
}

/// A wait for room, which is rare.
type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Sending {
    /// Creates a future that sends `submission` when it is polled, or resolves to the reason why it could not be
    /// created.
    #[inline]
    pub(crate) fn new(submission: Result<Submission>, hub: Arc<HubRef>) -> Self {
        let (submission, stage) = match submission {
            Ok(submission) => (Some(submission), Stage::New),
            Err(error) => (None, Stage::Refused(error)),
        };
        Self {
            submission,
            stage,
            hub,
            was_sent: false,
        }
    }

    /// Returns `true` if the message may have been accepted.
    #[cfg(feature = "cluster")]
    pub(crate) fn was_sent(&self) -> bool {
        self.was_sent
    }

    /// Advances until it has to wait.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<Response, CallFailure>> {
        loop {
            let permit = match &mut self.stage {
                // A submission that could not be created fails with its own error, even if the hub is gone.
                Stage::Refused(error) => return Poll::Ready(Err(error.clone().into())),
                Stage::New | Stage::Done => None,
                // Without a permit, the runtime has ended. Sending finds the reason.
                Stage::NoRoom(room) => ready!(room.as_mut().poll(cx)).ok(),
                Stage::Full(wait) | Stage::Moves(wait) => {
                    ready!(wait.as_mut().poll(cx));
                    None
                }
                Stage::Sent(receiver, _) => {
                    let told = ready!(Pin::new(receiver).poll(cx)).unwrap_or_else(|_| Err(self.hub.end_reason()))?;
                    match told {
                        Response::Failed(failure) => return Poll::Ready(Err(*failure)),
                        Response::Full { message, door } => {
                            self.submission = Some(Submission::again(*message));
                            self.was_sent = false;
                            self.stage = Stage::Full(Box::pin(async move { door.opened().await }));
                            continue;
                        }
                        told => return Poll::Ready(Ok(told)),
                    }
                }
            };
            if let Some(submission) = &self.submission {
                HubRef::narrow(&mut self.hub, &submission.target)?;
            }
            // Upgraded only once, because all clients share the same reference count.
            let open = self.hub.open()?;
            self.stage = match self.hub.moves(&open) {
                Some(moved) => Stage::Moves(moved),
                None => self.send(&open, permit)?,
            };
        }
    }

    /// Sends the submission with `permit`, or with a free permit of the hub's room.
    fn send(&mut self, runtime: &Runtime, permit: Option<OwnedSemaphorePermit>) -> Result<Stage> {
        let submission = match &self.submission {
            Some(submission) => submission,
            None => panic!("a submission was polled after completion"),
        };
        if let Stage::New = self.stage {
            submission.check(runtime)?;
        }
        let partition = runtime.partition_of(&submission.target);
        let permit = match permit {
            Some(permit) => permit,
            None => match submission.take_room(runtime, partition)? {
                Some(permit) => permit,
                None => {
                    let room = Arc::clone(submission.room(runtime, partition));
                    return Ok(Stage::NoRoom(Box::pin(room.acquire_owned())));
                }
            },
        };
        let (sender, receiver) = oneshot::channel();
        let reply = Reply {
            sender,
            permit: Some(permit),
        };
        let Some(submission) = self.submission.take() else {
            unreachable!("the submission was checked above");
        };
        runtime.send(partition, submission.into_envelope(runtime, reply))?;
        self.was_sent = true;
        Ok(Stage::Sent(receiver, partition))
    }
}

impl Future for Sending {
    type Output = std::result::Result<Response, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut settled = ready!(self.advance(cx));
        if let Err(CallFailure::Runtime(error)) = &mut settled
            && error.kind().ends_hub()
        {
            // Whoever waits for the hub of a node learns what it means for the request.
            *error = self.hub.replaced(self.was_sent, error);
        }
        // A refused submission must not be sent by another poll.
        self.submission = None;
        self.stage = Stage::Done;
        Poll::Ready(settled)
    }
}

impl Drop for Sending {
    /// Notes that the client has given up, once no reply can reach it. Its executor removes the request later.
    fn drop(&mut self) {
        if let Stage::Sent(receiver, partition) = &mut self.stage {
            receiver.close();
            if let Ok(open) = self.hub.open() {
                open.inbox_of_partition(*partition).note_given_up();
            }
        }
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "New",
            Self::Refused(_) => "Refused",
            Self::NoRoom(_) => "NoRoom",
            Self::Sent(..) => "Sent",
            Self::Full(_) => "Full",
            Self::Moves(_) => "Moves",
            Self::Done => "Done",
        })
    }
}

fn no_room() -> Error {
    Error::new(
        ErrorKind::Overloaded,
        "the hub holds the maximum number of messages in flight for this executor; retry later, send without \
         `refuse_when_full`, or raise `in_flight_limit`",
    )
}

/// Waits for the reply.
async fn answer(receiver: oneshot::Receiver<Result<Response>>, hub: &HubRef) -> Result<Response> {
    match receiver.await {
        Ok(told) => told,
        Err(_) => Err(hub.end_reason()),
    }
}

/// Sends an operator's request to its core and waits for the answer, `true` or `false`.
pub(crate) async fn ask(hub: Arc<HubRef>, request: OperatorRequest) -> Result<bool> {
    let hub = hub.of_partition(request.partition(hub.open()?.partitions));
    loop {
        let open = hub.open()?;
        if let Some(moved) = hub.moves(&open) {
            drop(open);
            moved.await;
            continue;
        }
        drop(open);
        let (answer, was_sent) = ask_once(hub, request.clone()).await;
        return answer.map_err(|error| hub.replaced(was_sent, &error));
    }
}

/// Like [`ask`], in the runtime that is open now. Also returns whether the request may have taken effect.
pub(crate) async fn ask_once(hub: &HubRef, request: OperatorRequest) -> (Result<bool>, bool) {
    let (sender, receiver) = oneshot::channel();
    let sent = hub.open().and_then(|open| {
        let partition = request.partition(open.partitions);
        let reply = Reply { sender, permit: None };
        open.send(partition, Envelope::Operator { request, reply })
    });
    if let Err(error) = sent {
        return (Err(error), false);
    }
    let answer = answer(receiver, hub).await;
    let is_true = |told| matches!(told, Response::Answer(answer) if answer == b"true");
    (answer.map(is_true), true)
}
