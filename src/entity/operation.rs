//! One operation of one entity, on its way.

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
/// Awaiting it calls: it resolves to the answer, or to a [`CallError`]. [`signal`](Operation::signal) and its
/// kin send it one-way. Dropped before either it sends nothing and logs a warning.
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

    /// Sends it one-way. A client gets a future of the durable acknowledgement; inside an operation it is sent when the
    /// operation succeeds.
    pub fn signal(mut self) -> C::Signaled {
        let (caller, request) = self.take();
        caller.signal(request)
    }

    /// Sends it one-way, to run at `time` or, if that has passed, at once. Never early.
    pub fn signal_at(mut self, time: SystemTime) -> C::Scheduled {
        self.schedule(When::At(Timestamp::from(time)), None)
    }

    /// Sends it one-way, to run `duration` from now. Never early.
    pub fn signal_after(mut self, duration: Duration) -> C::Scheduled {
        self.schedule(When::After(duration), None)
    }

    /// Names the timer of a scheduled signal, so that it can be cancelled and replaced by that name. The name counts
    /// within the receiving entity. Without it the hub draws one.
    pub fn timer_id(self, timer_id: impl Into<String>) -> NamedTimer<C, T, E> {
        NamedTimer {
            operation: self,
            timer_id: timer_id.into(),
        }
    }

    /// Makes a retry take effect once: the same request id gives the same answer again.
    ///
    /// A retry has to ask for the same. Arguments are compared as JSON values, so that a `HashMap` in another order is the
    /// same; arrays have an order, so use a `BTreeSet` or a sorted `Vec` in the place of a `HashSet`.
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self
    where
        C: ClientCaller,
    {
        if let Stage::Prepared(_, Prepared(Ok(request))) = &mut self.stage {
            request.request_id = Some(request_id.into());
        }
        self
    }

    /// Fails with [`ErrorKind::Overloaded`] instead of waiting when the hub has no room for the message. It applies to a call and to a
    /// signal alike.
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

    /// Takes the request out. The consuming methods call it, so that it is there unless the future was polled by hand.
    fn take(&mut self) -> (C, Prepared) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Prepared(caller, request) => (caller, request),
            Stage::Calling(_) | Stage::Done => {
                panic!("an operation that was polled is a call and cannot be signaled as well")
            }
        }
    }
}

// Nothing in it is pinned: what the caller waits for is `Unpin`.
impl<C: Caller, T, E> Unpin for Operation<C, T, E> {}

impl<C: CanCall, T: Answer, E: OperationError> Future for Operation<C, T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Stage::Prepared(..) = self.stage {
            let (caller, request) = self.take();
            self.stage = Stage::Calling(caller.call(request));
        }
        let Stage::Calling(answer) = &mut self.stage else {
            panic!("an operation was polled after it had finished")
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
            "the answer does not decode into `{}`: {reason}; the operation has taken effect",
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
                    "an operation was dropped before it was awaited or signaled, so nothing was sent"
                ),
                Err(error) => tracing::warn!(
                    %error,
                    "an operation that could not be made was dropped before it was awaited or signaled"
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

/// An operation whose timer has a name: it can only be sent one-way, at a time.
#[must_use = "an operation does nothing until it is signaled"]
#[derive(Debug)]
pub struct NamedTimer<C: Caller, T, E = NoError> {
    operation: Operation<C, T, E>,
    timer_id: String,
}

impl<C: Caller, T, E> NamedTimer<C, T, E> {
    /// As [`Operation::signal_at`]. A timer of the same name that still waits at the entity is replaced.
    pub fn signal_at(mut self, time: SystemTime) -> C::Scheduled {
        self.operation
            .schedule(When::At(Timestamp::from(time)), Some(self.timer_id))
    }

    /// As [`Operation::signal_after`]. A timer of the same name that still waits at the entity is replaced.
    pub fn signal_after(mut self, duration: Duration) -> C::Scheduled {
        self.operation.schedule(When::After(duration), Some(self.timer_id))
    }
}
