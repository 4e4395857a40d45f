//! One operation of one entity, from its creation to its result.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use crate::entity::answer::Answer;
use crate::entity::caller::sealed::{Due, Prepared};
use crate::entity::caller::{Caller, CanCall, ClientCaller, When};
use crate::entity::error::{CallError, CallFailure, NoError};
use crate::entity::operation_error::OperationError;
use crate::error::{Error, ErrorKind};
use crate::time::Timestamp;

/// One operation of one entity, ready to be called or signaled.
///
/// Awaiting it calls the operation and resolves to its result or to a [`CallError`]. [`signal`](Operation::signal) and
/// related methods send it one-way. If it is dropped before either, it sends nothing and logs a warning.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use abide::prelude::*;
/// # #[derive(Entity, Default, Clone, Serialize, Deserialize)]
/// # struct Counter {
/// #     total: i64,
/// # }
/// # #[operations]
/// # impl Counter {
/// #     pub fn add(&mut self, n: i64) -> i64 {
/// #         self.total += n;
/// #         self.total
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().entity::<Counter>().open().await?;
/// # let client = hub.client();
/// let visits = client.entity::<Counter>("visits");
///
/// // A call.
/// assert_eq!(visits.add(1).await?, 1);
/// // A retry under the same request id takes effect once and has the same answer.
/// assert_eq!(visits.add(1).request_id("req-1").await?, 2);
/// assert_eq!(visits.add(1).request_id("req-1").await?, 2);
/// // A signal, which fails instead of waiting if the hub has no room.
/// visits.add(1).refuse_when_full().signal().await?;
///
/// // Signals for later. The first has a timer id of its own, by which it can be replaced or canceled.
/// let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
/// visits.add(1).timer_id("daily").signal_at(tomorrow).await?;
/// let timer = visits.add(1).signal_after(Duration::from_secs(60)).await?;
/// visits.cancel_signal(timer).await?;
/// # hub.shutdown().await
/// # }
/// ```
#[must_use = "an operation does nothing until it is awaited or signaled"]
pub struct Operation<C: Caller, T, E = NoError> {
    stage: Stage<C>,
    returns: PhantomData<fn() -> (T, E)>,
}

enum Stage<C: Caller> {
    Prepared(C, Prepared),
    Calling(C::Answer),
    Done,
}

impl<C: Caller, T, E> Operation<C, T, E> {
    pub(crate) fn new(caller: C, request: Prepared) -> Self {
        Self {
            stage: Stage::Prepared(caller, request),
            returns: PhantomData,
        }
    }

    /// Sends the operation one-way.
    ///
    /// A client receives a future of the durable acknowledgment. Inside an operation, the signal is sent when that
    /// operation succeeds.
    pub fn signal(mut self) -> C::Signaled {
        let (caller, request) = self.take();
        caller.signal(request)
    }

    /// Sends the operation one-way, to run at `time`, or immediately if that has passed. It never runs early.
    pub fn signal_at(mut self, time: SystemTime) -> C::Scheduled {
        self.schedule(When::At(Timestamp::from(time)), None)
    }

    /// Sends the operation one-way, to run `duration` from now. It never runs early.
    pub fn signal_after(mut self, duration: Duration) -> C::Scheduled {
        self.schedule(When::After(duration), None)
    }

    /// Sets the timer id of a scheduled signal, with which it can be canceled or replaced.
    ///
    /// The id is local to the receiving entity. By default the hub generates one.
    pub fn timer_id(self, timer_id: impl Into<String>) -> NamedTimer<C, T, E> {
        NamedTimer {
            operation: self,
            timer_id: timer_id.into(),
        }
    }

    /// Makes a retry take effect once: a request with the same id returns the same result.
    ///
    /// A retry must request the same operation with the same arguments. Arguments are compared as JSON values, so the
    /// order of a `HashMap` does not matter. Arrays are ordered, so use a `BTreeSet` or a sorted `Vec` instead of a
    /// `HashSet`.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self
    where
        C: ClientCaller,
    {
        if let Stage::Prepared(_, Prepared(Ok(request))) = &mut self.stage {
            request.request_id = Some(request_id.into());
        }
        self
    }

    /// Fails with [`ErrorKind::Overloaded`] instead of waiting when the hub has no room for the message. It applies to
    /// a call and to a signal alike.
    pub fn refuse_when_full(mut self) -> Self
    where
        C: ClientCaller,
    {
        if let Stage::Prepared(_, Prepared(Ok(request))) = &mut self.stage {
            request.refuse_when_full = true;
        }
        self
    }

    fn schedule(&mut self, due: When, timer: Option<String>) -> C::Scheduled {
        let (caller, request) = self.take();
        caller.schedule(request, Due(due), timer)
    }

    /// Takes the request out. Only consuming methods call this, so the request exists unless the future was polled by
    /// hand.
    fn take(&mut self) -> (C, Prepared) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Prepared(caller, request) => (caller, request),
            Stage::Calling(_) | Stage::Done => {
                panic!("an operation that was polled is already called and cannot be signaled")
            }
        }
    }
}

// No field is pinned: the future of a call is `Unpin`.
impl<C: Caller, T, E> Unpin for Operation<C, T, E> {}

impl<C: CanCall, T: Answer, E: OperationError> Future for Operation<C, T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Prepared(..) = self.stage {
            let (caller, request) = self.take();
            self.stage = Stage::Calling(caller.call(request));
        }
        let Stage::Calling(answer) = &mut self.stage else {
            panic!("operation polled after completion")
        };
        let answer = std::task::ready!(Pin::new(answer).poll(cx));
        self.stage = Stage::Done;
        Poll::Ready(finish(answer))
    }
}

fn finish<T: Answer, E: OperationError>(answer: Result<Vec<u8>, CallFailure>) -> Result<T, CallError<E>> {
    let json = answer.map_err(CallError::from_failure)?;
    T::from_json(&json).map_err(|reason| {
        let message = format!(
            "the result does not decode into `{}`: {reason}; the operation has taken effect",
            std::any::type_name::<T>()
        );
        CallError::Runtime(Error::new(ErrorKind::Serialization, message).with_source(reason))
    })
}

impl<C: Caller, T, E> Drop for Operation<C, T, E> {
    fn drop(&mut self) {
        if let Stage::Prepared(_, Prepared(request)) = &self.stage {
            match request {
                Ok(request) => tracing::warn!(
                    entity = %request.target,
                    operation = %request.operation,
                    "operation dropped before it was awaited or signaled: nothing was sent"
                ),
                Err(error) => tracing::warn!(
                    %error,
                    "invalid operation dropped before it was awaited or signaled"
                ),
            }
        }
    }
}

impl<C: Caller, T, E> fmt::Debug for Operation<C, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Stage::Prepared(_, Prepared(Ok(request))) => {
                write!(f, "Operation `{}` of {}", request.operation, request.target)
            }
            Stage::Prepared(_, Prepared(Err(error))) => write!(f, "Operation with {error:?}"),
            Stage::Calling(_) => f.write_str("Operation, called"),
            Stage::Done => f.write_str("Operation, done"),
        }
    }
}

/// An operation with a timer id. It can only be sent as a scheduled signal.
#[must_use = "an operation does nothing until it is signaled"]
#[derive(Debug)]
pub struct NamedTimer<C: Caller, T, E = NoError> {
    operation: Operation<C, T, E>,
    timer_id: String,
}

impl<C: Caller, T, E> NamedTimer<C, T, E> {
    /// Like [`Operation::signal_at`]. Replaces a pending timer of the entity that has the same id.
    pub fn signal_at(mut self, time: SystemTime) -> C::Scheduled {
        self.operation
            .schedule(When::At(Timestamp::from(time)), Some(self.timer_id))
    }

    /// Like [`Operation::signal_after`]. Replaces a pending timer of the entity that has the same id.
    pub fn signal_after(mut self, duration: Duration) -> C::Scheduled {
        self.operation.schedule(When::After(duration), Some(self.timer_id))
    }
}
