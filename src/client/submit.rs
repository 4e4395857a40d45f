//! Bringing a message to its instance, and waiting for what becomes of it.

use std::sync::{Arc, Weak};

use tokio::sync::{TryAcquireError, oneshot};

use crate::engine::message::{ClientOrigin, Input, Token};
use crate::entity::caller::Request;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::{EntityId, InstanceId, check_name};
use crate::runtime::{Envelope, Reply, Runtime, Told, closed};
use crate::store::records::Action;

/// A message of a client that is ready to go.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) target: EntityId,
    pub(crate) action: Action,
    /// Whether the answer is wanted, or only that the message is durable.
    pub(crate) call: bool,
    pub(crate) request_id: Option<String>,
    pub(crate) refuse_when_full: bool,
}

impl Submission {
    /// Asks for an operation, now.
    pub(crate) fn operation(request: Request, call: bool) -> Self {
        Self {
            target: request.target,
            action: Action::Operation {
                operation: request.operation,
                arguments: request.arguments,
            },
            call,
            request_id: request.request_id,
            refuse_when_full: request.refuse_when_full,
        }
    }

    /// Sends it and waits until it is settled. `Told::Full` is not among the outcomes.
    pub(crate) async fn run(self, runtime: Weak<Runtime>) -> std::result::Result<Told, CallFailure> {
        // Upgraded once on the way in: every client counts on the same word of memory.
        let mut open = Some(runtime.upgrade().ok_or_else(closed)?);
        if let Some(open) = &open {
            self.check(open)?;
        }
        let target = self.target.instance().clone();
        let mut action = self.action;
        loop {
            let now = match open.take() {
                Some(open) => open,
                None => runtime.upgrade().ok_or_else(closed)?,
            };
            let (now, permit) = match Arc::clone(&now.permits).try_acquire_owned() {
                Ok(permit) => (now, permit),
                Err(TryAcquireError::Closed) => return Err(now.end_reason().into()),
                Err(TryAcquireError::NoPermits) if self.refuse_when_full => return Err(no_room().into()),
                Err(TryAcquireError::NoPermits) => {
                    let permits = Arc::clone(&now.permits);
                    // Not kept while waiting: a client must not hold a closed hub's store open.
                    drop(now);
                    let permit = permits.acquire_owned().await.map_err(|_| end_reason(&runtime))?;
                    (runtime.upgrade().ok_or_else(closed)?, permit)
                }
            };
            let client = ClientOrigin {
                token: None,
                call: self.call,
                request: self.request_id.clone(),
                refuse_when_full: self.refuse_when_full,
                must_store: false,
            };
            let (sender, receiver) = oneshot::channel();
            let reply = Reply {
                sender,
                _permit: Some(permit),
            };
            let envelope = Envelope::Request {
                target: target.clone(),
                action,
                client,
                reply,
            };
            now.send(&target, envelope)?;
            drop(now);
            match answer(receiver, &runtime).await? {
                Told::Failed(failure) => return Err(failure),
                Told::Full { action: again, door } => {
                    door.opened().await;
                    action = again;
                }
                told => return Ok(told),
            }
        }
    }

    /// Refuses what cannot succeed, before anything is stored.
    fn check(&self, runtime: &Runtime) -> Result<()> {
        let name = self.target.name();
        let Some(code) = runtime.registry.entity(name) else {
            return Err(Error::new(
                ErrorKind::Unregistered,
                format!("the entity type `{name}` is not registered; add `.entity::<…>()` to the hub's builder"),
            ));
        };
        let (operation, arguments) = match &self.action {
            Action::Operation { operation, arguments } => (operation, arguments),
            Action::Schedule {
                timer,
                operation,
                arguments,
                ..
            } => {
                check_name("timer id", timer)?;
                (operation, arguments)
            }
            Action::Cancel { timer } => return check_name("timer id", timer),
            Action::Lock(_) | Action::Order(_) => return Ok(()),
        };
        if let Some(request) = &self.request_id {
            check_name("request id", request)?;
        }
        if code.find(operation).is_none() && !operation.eq_ignore_ascii_case("delete") {
            return Err(Error::new(
                ErrorKind::UnknownOperation,
                format!(
                    "the entity type `{name}` has no operation `{operation}`; it has {}",
                    code.operations().join(", ")
                ),
            ));
        }
        let (bytes, limit) = (arguments.len(), runtime.limits.payload_bytes);
        if bytes > limit {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the arguments of `{operation}` for `{}` have {bytes} bytes and {limit} is the limit; \
                     send less at once, or raise it with `.payload_limit`",
                    self.target
                ),
            ));
        }
        Ok(())
    }
}

fn no_room() -> Error {
    Error::new(
        ErrorKind::Overloaded,
        "the hub has taken in as many messages as it may hold; try later, or use the form that waits",
    )
}

/// Waits for the reply.
async fn answer(receiver: oneshot::Receiver<Result<Told>>, runtime: &Weak<Runtime>) -> Result<Told> {
    match receiver.await {
        Ok(told) => told,
        Err(_) => Err(end_reason(runtime)),
    }
}

/// Asks the core of `instance` something as an operator, and waits for its yes or no.
pub(crate) async fn ask(
    runtime: Weak<Runtime>,
    instance: InstanceId,
    input: impl FnOnce(Token) -> Input + Send + 'static,
) -> Result<bool> {
    let (sender, receiver) = oneshot::channel();
    let envelope = Envelope::Operator {
        input: Box::new(input),
        reply: Reply { sender, _permit: None },
    };
    runtime.upgrade().ok_or_else(closed)?.send(&instance, envelope)?;
    Ok(matches!(answer(receiver, &runtime).await?, Told::Answer(answer) if answer == b"true"))
}

fn end_reason(runtime: &Weak<Runtime>) -> Error {
    runtime.upgrade().map_or_else(closed, |runtime| runtime.end_reason())
}
