//! The handle to one orchestration.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::client::handle::Client;
use crate::engine::message::{Token, WaitUntil, Waiter};
use crate::entity::{Answer, CallError, CallFailure, OperationError};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::Failure;
use crate::id::InstanceId;
use crate::orchestration::Orchestration;
use crate::runtime::{Envelope, HubRef, Reply, Response, Runtime};

/// The type argument of an [`OrchestrationHandle`] to an orchestration whose type is not known.
#[derive(Clone, Copy, Debug)]
pub enum AnyOrchestration {}

/// A handle to one orchestration. Created by [`Client::start`] and [`Client::orchestration`].
///
/// The handle is cheap to clone and only holds the id. The orchestration may not exist, or another one may replace it
/// under the same id.
///
/// ```
/// use abide::prelude::*;
///
/// #[orchestration]
/// async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
///     ctx.set_custom_status("waiting for a decision");
///     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
///     Ok(format!("{expense}: {approved}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
/// let run = hub.client().start::<approval>("a chair".into()).instance_id("chair").await?;
/// if let Some(info) = run.status().await? {
///     assert_eq!(info.status, OrchestrationStatus::Running);
///     assert_eq!(info.custom_status_as::<String>()?.as_deref(), Some("waiting for a decision"));
/// }
///
/// run.raise_event("decision", true).await?;
/// assert_eq!(run.result().await?, "a chair: true");
/// run.purge().await?;
/// assert!(run.status().await?.is_none());
/// # hub.shutdown().await
/// # }
/// ```
pub struct OrchestrationHandle<O = AnyOrchestration> {
    pub(super) client: Client,
    /// The id, or the reason why it is invalid, which is returned when the handle is used.
    instance: Result<InstanceId>,
    of: PhantomData<fn() -> O>,
}

impl Client {
    /// Returns a handle to the orchestration with this id. Creating it does no I/O. The type is not checked: if the
    /// orchestration is not of type `O`, its output or error fails to decode. An invalid id is reported when the handle
    /// is used.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// client.start::<approval>("a chair".into()).instance_id("chair").await?;
    ///
    /// // Anywhere else, even after a restart:
    /// let chair = client.orchestration::<approval>("chair");
    /// chair.raise_event("decision", true).await?;
    /// assert_eq!(chair.result().await?, "a chair: true");
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn orchestration<O: Orchestration>(&self, id: impl AsRef<str>) -> OrchestrationHandle<O> {
        OrchestrationHandle::new(self.share(), InstanceId::orchestration(id.as_ref()))
    }

    /// Returns a handle to the orchestration with this id, whatever its type. Its result is JSON. For tools.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// client.start::<approval>("a chair".into()).instance_id("chair").await?;
    ///
    /// let chair = client.untyped_orchestration("chair");
    /// chair.raise_event_with_json("decision", "true").await?;
    /// assert_eq!(chair.result().await?, serde_json::json!("a chair: true"));
    /// # hub.shutdown().await
    /// # }
    /// ```
    pub fn untyped_orchestration(&self, id: impl AsRef<str>) -> OrchestrationHandle {
        OrchestrationHandle::new(self.share(), InstanceId::orchestration(id.as_ref()))
    }
}

impl<O: Orchestration> OrchestrationHandle<O> {
    /// Waits for the result. The hub notifies the waiter; it is not asked repeatedly. If the orchestration has ended, this
    /// returns immediately. Continuing as new does not end the wait. After a restart, a new call waits for the new
    /// execution.
    ///
    /// Dropping the future stops the wait and does not affect the orchestration.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[derive(Debug, thiserror::Error, Serialize, Deserialize)]
    /// #[error("only {left} left")]
    /// struct SoldOut {
    ///     left: u32,
    /// }
    ///
    /// #[orchestration]
    /// async fn order(ctx: OrchestrationContext, pieces: u32) -> Result<u32, SoldOut> {
    ///     if pieces > 20 { Err(SoldOut { left: 20 }) } else { Ok(20 - pieces) }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<order>().open().await?;
    /// # let client = hub.client();
    /// assert_eq!(client.start::<order>(7).await?.result().await?, 13);
    ///
    /// match client.start::<order>(30).await?.result().await {
    ///     Err(CallError::Returned(SoldOut { left })) => assert_eq!(left, 20),
    ///     other => panic!("{other:?}"),
    /// }
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns [`CallError::Returned`] with the error that the orchestration returned. Returns [`CallError::Runtime`]
    /// with an error of kind:
    /// * [`ErrorKind::Terminated`] if the orchestration was terminated or canceled,
    /// * [`ErrorKind::NotFound`] if there is no such orchestration,
    /// * [`ErrorKind::Serialization`] if the output does not decode into the output type.
    ///
    /// It also returns any [hub error](crate::Error).
    pub async fn result(&self) -> Result<O::Output, CallError<O::Error>> {
        self.wait(WaitUntil::End).await
    }

    /// Like [`result`](Self::result), but fails with [`ErrorKind::TimedOut`] if the orchestration has not ended within
    /// `limit`. The orchestration continues nevertheless. If it is stopped by then, the error is [`ErrorKind::Stopped`]
    /// and contains the reason.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::prelude::*;
    ///
    /// # #[orchestration]
    /// # async fn approval(ctx: OrchestrationContext, expense: String) -> Result<String, Failure> {
    /// #     let approved = ctx.wait_for_external_event::<bool>("decision").await?;
    /// #     Ok(format!("{expense}: {approved}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// let run = client.start::<approval>("a chair".into()).await?;
    /// let error = Error::from(run.result_within(Duration::from_millis(10)).await.unwrap_err());
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    ///
    /// run.raise_event("decision", true).await?;
    /// assert_eq!(run.result_within(Duration::from_secs(10)).await?, "a chair: true");
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the same errors as [`result`](Self::result), and [`ErrorKind::TimedOut`] or [`ErrorKind::Stopped`].
    pub async fn result_within(&self, limit: Duration) -> Result<O::Output, CallError<O::Error>> {
        self.wait_within(limit).await
    }

    /// Like [`result`](Self::result), but fails with [`ErrorKind::Stopped`] as soon as the orchestration is stopped:
    /// when it panics, when it diverges from its history, or for another reason in
    /// [`StopKind`](crate::client::StopKind). In contrast, [`result`](Self::result) keeps waiting through a stop, until
    /// the orchestration ends.
    ///
    /// ```
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn share(ctx: OrchestrationContext, people: u32) -> u32 {
    ///     100 / people
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<share>().open().await?;
    /// # let client = hub.client();
    /// assert_eq!(client.start::<share>(4).await?.result_or_stop().await?, 25);
    ///
    /// // A division by zero panics, which stops the orchestration until a fixed build resumes it.
    /// let run = client.start::<share>(0).await?;
    /// let error = Error::from(run.result_or_stop().await.unwrap_err());
    /// assert_eq!(error.kind(), ErrorKind::Stopped);
    /// # hub.shutdown().await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Returns the same errors as [`result`](Self::result), and [`ErrorKind::Stopped`].
    pub async fn result_or_stop(&self) -> Result<O::Output, CallError<O::Error>> {
        self.wait(WaitUntil::EndOrStop).await
    }
}

impl OrchestrationHandle {
    /// Waits for the result and returns the output as JSON. See [`OrchestrationHandle::result`] of a typed handle.
    ///
    /// # Errors
    /// Returns the same errors as a typed handle. The error returned by the orchestration is a [`Failure`].
    pub async fn result(&self) -> Result<serde_json::Value, CallError<Failure>> {
        self.wait(WaitUntil::End).await
    }

    /// Like [`result`](Self::result), but fails with [`ErrorKind::TimedOut`] if the orchestration has not ended within
    /// `limit`. The orchestration continues nevertheless. If it is stopped by then, the error is [`ErrorKind::Stopped`]
    /// and contains the reason.
    ///
    /// # Errors
    /// Returns the same errors as [`result`](Self::result), and [`ErrorKind::TimedOut`] or [`ErrorKind::Stopped`].
    pub async fn result_within(&self, limit: Duration) -> Result<serde_json::Value, CallError<Failure>> {
        self.wait_within(limit).await
    }

    /// Like [`result`](Self::result), but fails with [`ErrorKind::Stopped`] as soon as the orchestration is stopped.
    ///
    /// # Errors
    /// Returns the same errors as [`result`](Self::result), and [`ErrorKind::Stopped`].
    pub async fn result_or_stop(&self) -> Result<serde_json::Value, CallError<Failure>> {
        self.wait(WaitUntil::EndOrStop).await
    }

    /// Converts the handle to one of type `O`.
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

    /// Returns the id, or an empty string if the handle was created with an invalid id.
    pub fn id(&self) -> &str {
        self.instance.as_ref().map_or("", InstanceId::as_str)
    }

    pub(super) fn instance(&self) -> Result<&InstanceId> {
        self.instance.as_ref().map_err(Clone::clone)
    }

    /// Returns the same handle for a request.
    pub(super) fn share(&self) -> Self {
        Self::new(self.client.share(), self.instance.clone())
    }

    /// Converts the handle to one without a type.
    pub fn untyped(self) -> OrchestrationHandle {
        OrchestrationHandle::new(self.client, self.instance)
    }

    async fn wait<T: Answer, E: OperationError>(&self, until: WaitUntil) -> Result<T, CallError<E>> {
        let instance = self.instance().map_err(|error| CallError::Runtime(error))?;
        let json = wait_for_end(&self.client.hub(), instance, until).await;
        let json = json.map_err(CallError::from_failure)?;
        T::from_json(&json).map_err(|reason| {
            let message = format!(
                "the output of `{instance}` does not decode into `{}`: {reason}",
                std::any::type_name::<T>()
            );
            CallError::Runtime(Error::new(ErrorKind::Serialization, message).with_source(reason))
        })
    }

    async fn wait_within<T: Answer, E: OperationError>(&self, limit: Duration) -> Result<T, CallError<E>> {
        match tokio::time::timeout(limit, self.wait(WaitUntil::End)).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Runtime(self.not_ended(limit).await)),
        }
    }

    /// Returns the error for an orchestration that has not ended.
    async fn not_ended(&self, limit: Duration) -> Error {
        let status = self.status().without_input().read().await;
        match status.ok().flatten().and_then(|info| info.stopped) {
            Some(stopped) => stopped.error(self.id()),
            None => Error::new(
                ErrorKind::TimedOut,
                format!(
                    "`{}` has not ended within {limit:?}; it continues, and you can wait for it again",
                    self.id()
                ),
            ),
        }
    }
}

/// Waits for the end of an orchestration, also while its hub moves to another node.
pub(crate) async fn wait_for_end(
    hub: &HubRef,
    instance: &InstanceId,
    until: WaitUntil,
) -> Result<Vec<u8>, CallFailure> {
    let hub = hub.of(instance)?;
    loop {
        let open = hub.open()?;
        let ended = End::begin(hub, &open, instance.clone(), until);
        // A standby forwards the wait by itself.
        let moved = if open.is_standby { None } else { hub.moved_from(&open) };
        drop(open);
        let ended = match ended {
            Ok(ended) => ended.await,
            Err(error) => Err(error.into()),
        };
        match (ended, moved) {
            (Err(CallFailure::Runtime(error)), Some(moved)) if error.kind().is_of_move() => moved.await,
            (ended, _) => return ended,
        }
    }
}

/// A future that resolves to the end of an orchestration. If it is dropped before that, the engine removes the waiter.
struct End<'a> {
    hub: &'a HubRef,
    /// The runtime that waits, which knows the token.
    runtime: Weak<Runtime>,
    instance: InstanceId,
    token: Token,
    receiver: oneshot::Receiver<Result<Response>>,
    resolved: bool,
}

impl<'a> End<'a> {
    fn begin(hub: &'a HubRef, runtime: &Arc<Runtime>, instance: InstanceId, until: WaitUntil) -> Result<Self> {
        let token = runtime.draw_wait();
        let (sender, receiver) = oneshot::channel();
        let envelope = Envelope::Wait {
            instance: instance.clone(),
            waiter: Waiter { token, until },
            reply: Reply { sender, permit: None },
        };
        runtime.send(runtime.partition_of(&instance), envelope)?;
        Ok(Self {
            hub,
            runtime: Arc::downgrade(runtime),
            instance,
            token,
            receiver,
            resolved: false,
        })
    }
}

impl Future for End<'_> {
    type Output = Result<Vec<u8>, CallFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let told = ready!(Pin::new(&mut self.receiver).poll(cx));
        self.resolved = true;
        Poll::Ready(match told {
            Ok(Ok(Response::Answer(output))) => Ok(output),
            Ok(Ok(Response::Failed(failure))) => Err(*failure),
            Ok(Ok(Response::Accepted | Response::Full { .. })) => Err(CallFailure::Runtime(Error::new(
                ErrorKind::WrongState,
                format!("cannot wait for `{}`", self.instance),
            ))),
            Ok(Err(error)) => Err(CallFailure::Runtime(error)),
            Err(_) => Err(CallFailure::Runtime(self.hub.end_reason())),
        })
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if self.resolved {
            return;
        }
        if let Some(runtime) = self.runtime.upgrade() {
            let envelope = Envelope::Forget {
                instance: self.instance.clone(),
                token: self.token,
            };
            // A closed hub has removed all waiters.
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
