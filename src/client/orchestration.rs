//! The handle of one orchestration.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::client::handle::Client;
use crate::client::submit::end_reason;
use crate::engine::message::{Token, Waiter};
use crate::entity::{Answer, CallError, CallFailure, OperationError};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::Failure;
use crate::id::InstanceId;
use crate::orchestration::Orchestration;
use crate::runtime::{Envelope, Reply, Runtime, Told};

/// Stands for an orchestration whose type is not known: see [`OrchestrationHandle`].
#[derive(Clone, Copy, Debug)]
pub enum AnyOrchestration {}

/// One orchestration, as a program outside sees it. Made by [`Client::start`] and [`Client::orchestration`].
///
/// Cheap to clone. It is no more than the id: there may be no such orchestration, or another may take its place under the
/// same id.
pub struct OrchestrationHandle<O = AnyOrchestration> {
    pub(super) client: Client,
    /// The id, or why it cannot be one: told where the handle is used.
    instance: Result<InstanceId>,
    of: PhantomData<fn() -> O>,
}

impl Client {
    /// A handle of the orchestration with this id, which is known to be of the type `O`. Nothing is read yet; an id that
    /// breaks the rules is told where the handle is used.
    pub fn orchestration<O: Orchestration>(&self, id: impl AsRef<str>) -> OrchestrationHandle<O> {
        OrchestrationHandle::new(self.clone(), InstanceId::orchestration(id.as_ref()))
    }

    /// A handle of the orchestration with this id, whatever its type.
    pub fn untyped_orchestration(&self, id: impl AsRef<str>) -> OrchestrationHandle {
        OrchestrationHandle::new(self.clone(), InstanceId::orchestration(id.as_ref()))
    }
}

impl<O: Orchestration> OrchestrationHandle<O> {
    /// Waits for the end, which is pushed and not polled. An orchestration that has ended answers at once; one that is
    /// restarted or continues as new is waited for until its last execution has ended.
    ///
    /// Dropping the future stops waiting and does nothing to the orchestration.
    ///
    /// # Errors
    /// The error that it returned; [`ErrorKind::Terminated`] if it was terminated or cancelled, [`ErrorKind::NotFound`] if
    /// there is no such orchestration, [`ErrorKind::Serialization`] if the output is not of this type, and what the hub
    /// meets.
    pub async fn result(&self) -> Result<O::Output, CallError<O::Error>> {
        self.wait(false).await
    }

    /// As [`result`](Self::result), and [`ErrorKind::TimedOut`] if the end has not come within `limit`. The orchestration
    /// continues all the same, unless it is stopped: then the error is [`ErrorKind::Stopped`] and says why.
    ///
    /// # Errors
    /// As [`result`](Self::result).
    pub async fn result_within(&self, limit: Duration) -> Result<O::Output, CallError<O::Error>> {
        self.wait_within(limit).await
    }

    /// As [`result`](Self::result), and [`ErrorKind::Stopped`] as soon as the orchestration is stopped: when it panics, when it
    /// diverges from its history, or for one of the other reasons of [`StopKind`](crate::client::StopKind). [`result`](Self::result)
    /// waits until a fixed build takes it up again.
    ///
    /// # Errors
    /// As [`result`](Self::result).
    pub async fn result_or_stop(&self) -> Result<O::Output, CallError<O::Error>> {
        self.wait(true).await
    }
}

impl OrchestrationHandle {
    /// Waits for the end and gives the output as JSON: see [`OrchestrationHandle::result`] of a typed handle.
    ///
    /// # Errors
    /// As with a typed handle; what the orchestration returned is a [`Failure`].
    pub async fn result(&self) -> Result<serde_json::Value, CallError<Failure>> {
        self.wait(false).await
    }

    /// As [`result`](Self::result), and [`ErrorKind::TimedOut`] if the end has not come within `limit`. The orchestration
    /// continues all the same, unless it is stopped: then the error is [`ErrorKind::Stopped`] and says why.
    ///
    /// # Errors
    /// As [`result`](Self::result).
    pub async fn result_within(&self, limit: Duration) -> Result<serde_json::Value, CallError<Failure>> {
        self.wait_within(limit).await
    }

    /// As [`result`](Self::result), and [`ErrorKind::Stopped`] as soon as the orchestration is stopped.
    ///
    /// # Errors
    /// As [`result`](Self::result).
    pub async fn result_or_stop(&self) -> Result<serde_json::Value, CallError<Failure>> {
        self.wait(true).await
    }

    /// The same orchestration, known to be of the type `O`.
    pub fn typed<O: Orchestration>(self) -> OrchestrationHandle<O> {
        OrchestrationHandle::new(self.client, self.instance)
    }
}

impl<O> OrchestrationHandle<O> {
    pub(super) fn new(client: Client, instance: Result<InstanceId>) -> Self {
        Self {
            client,
            instance,
            of: PhantomData,
        }
    }

    /// The id; empty if the handle was made with one that breaks the rules.
    pub fn id(&self) -> &str {
        self.instance.as_ref().map_or("", InstanceId::as_str)
    }

    pub(super) fn instance(&self) -> Result<&InstanceId> {
        self.instance.as_ref().map_err(Clone::clone)
    }

    /// The same orchestration without its type.
    pub fn untyped(self) -> OrchestrationHandle {
        OrchestrationHandle::new(self.client, self.instance)
    }

    async fn wait<T: Answer, E: OperationError>(&self, hears_stops: bool) -> Result<T, CallError<E>> {
        let instance = self.instance().map_err(|error| CallError::Runtime(error))?;
        let ended = End::begin(&self.client, instance.clone(), hears_stops).map_err(CallError::Runtime)?;
        let json = ended.await.map_err(CallError::from_failure)?;
        T::from_json(&json).map_err(|reason| {
            let message = format!(
                "the output of `{instance}` does not decode into `{}`: {reason}",
                std::any::type_name::<T>()
            );
            CallError::Runtime(Error::new(ErrorKind::Serialization, message).with_source(reason))
        })
    }

    async fn wait_within<T: Answer, E: OperationError>(&self, limit: Duration) -> Result<T, CallError<E>> {
        match tokio::time::timeout(limit, self.wait(false)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Runtime(self.not_ended(limit).await)),
        }
    }

    /// Why there is no end yet.
    async fn not_ended(&self, limit: Duration) -> Error {
        let status = self.status().without_input().read().await;
        match status.ok().flatten().and_then(|info| info.stopped) {
            Some(stopped) => stopped.error(self.id()),
            None => Error::new(
                ErrorKind::TimedOut,
                format!(
                    "`{}` has not ended within {limit:?}; it goes on, and can be waited for again",
                    self.id()
                ),
            ),
        }
    }
}

/// The end of an orchestration on its way. Dropped before, it lets the engine forget who waits.
struct End {
    runtime: Weak<Runtime>,
    instance: InstanceId,
    token: Token,
    receiver: oneshot::Receiver<Result<Told>>,
    heard: bool,
}

impl End {
    fn begin(client: &Client, instance: InstanceId, hears_stops: bool) -> Result<Self> {
        let runtime = client.runtime()?;
        let token = runtime.draw_wait();
        let (sender, receiver) = oneshot::channel();
        let envelope = Envelope::Wait {
            instance: instance.clone(),
            waiter: Waiter { token, hears_stops },
            reply: Reply { sender, permit: None },
        };
        runtime.send(runtime.partition_of(&instance), envelope)?;
        Ok(Self {
            runtime: client.weak(),
            instance,
            token,
            receiver,
            heard: false,
        })
    }
}

impl Future for End {
    type Output = Result<Vec<u8>, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = ready!(Pin::new(&mut self.receiver).poll(cx));
        self.heard = true;
        Poll::Ready(match told {
            Ok(Ok(Told::Answer(output))) => Ok(output),
            Ok(Ok(Told::Failed(failure))) => Err(*failure),
            Ok(Ok(Told::Accepted | Told::Full { .. })) => Err(CallFailure::Runtime(Error::new(
                ErrorKind::WrongState,
                format!("`{}` cannot be waited for", self.instance),
            ))),
            Ok(Err(error)) => Err(CallFailure::Runtime(error)),
            Err(_) => Err(CallFailure::Runtime(end_reason(&self.runtime))),
        })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if self.heard {
            return;
        }
        if let Some(runtime) = self.runtime.upgrade() {
            let envelope = Envelope::Forget {
                instance: self.instance.clone(),
                token: self.token,
            };
            // A hub that is closed has forgotten everyone.
            let _ = runtime.send(runtime.partition_of(&self.instance), envelope);
        }
    }
}

impl<O> Clone for OrchestrationHandle<O> {
    fn clone(&self) -> Self {
        Self::new(self.client.clone(), self.instance.clone())
    }
}

impl<O> fmt::Debug for OrchestrationHandle<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OrchestrationHandle").field(&self.id()).finish()
    }
}
