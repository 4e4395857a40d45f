//! Waits for external events.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::entity::caller::Claim;
use crate::entity::{Answer, CallError};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::check_path_name;
use crate::model::history::Command;
use crate::model::history::EventNote;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::step::What;
use crate::orchestration::step_future::StepFuture;
use crate::orchestration::timer::Timer;

/// A wait for an external event, created by
/// [`OrchestrationContext::wait_for_external_event`](crate::OrchestrationContext::wait_for_external_event).
///
/// The wait begins when it is created, whether or not it is awaited. If it was given an event that the code never read,
/// the event goes to the next wait, or stays unread.
///
/// # Errors
/// Returns an error of kind [`Serialization`](ErrorKind::Serialization) if the event does not decode into `T`; the
/// event then counts as read. Returns an error of kind [`InvalidId`](ErrorKind::InvalidId) if the name violates the
/// rules for names.
#[must_use = "a dropped wait is canceled; await it"]
pub struct EventWait<T> {
    awaited: StepFuture,
    name: String,
    payload: PhantomData<fn() -> T>,
}

impl<T: Answer> EventWait<T> {
    pub(super) fn new(execution: &Rc<ExecutionState>, claim: Claim, name: String) -> Self {
        if let Err(error) = check_path_name("event name", &name) {
            return Self {
                awaited: StepFuture::refused(Rc::clone(execution), error),
                name,
                payload: PhantomData,
            };
        }
        let what = What::Event {
            name: name.clone(),
            given: None,
        };
        let command = Command::WaitForEvent {
            sequence: claim.sequence,
            name: name.clone(),
        };
        execution.open(claim, what, command, None);
        execution.read_or_wait(claim.sequence, &name);
        Self {
            awaited: StepFuture::open(Rc::clone(execution), claim),
            name,
            payload: PhantomData,
        }
    }

    /// Sets a label, like [`ActivityCall::label`](crate::orchestration::ActivityCall::label).
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the wait is created.
    #[track_caller]
    pub fn label(self, label: impl AsRef<str>) -> Self {
        self.awaited.label(label.as_ref());
        self
    }

    /// Limits the wait to `duration`, after which it returns `None`. Its timer begins now, and ends with the wait.
    #[track_caller]
    pub fn timeout(self, duration: Duration) -> EventTimeout<T> {
        let execution = Rc::clone(self.awaited.execution());
        let timer = execution.timer_after(execution.claim(), duration);
        EventTimeout { event: self, timer }
    }

    /// Limits the wait to `duration`, after which it returns `default`. Its timer begins now, and ends with the wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use abide::prelude::*;
    ///
    /// #[orchestration]
    /// async fn approval(ctx: OrchestrationContext, patience: Duration) -> Result<bool, Failure> {
    ///     Ok(ctx.wait_for_external_event::<bool>("decision").timeout_or(patience, false).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> abide::Result<()> {
    /// # let hub = Hub::in_memory().orchestration::<approval>().open().await?;
    /// # let client = hub.client();
    /// assert!(!client.start::<approval>(Duration::from_millis(10)).await?.result().await?);
    /// # hub.shutdown().await
    /// # }
    /// ```
    #[track_caller]
    pub fn timeout_or(self, duration: Duration, default: T) -> EventWithDefault<T> {
        EventWithDefault {
            wait: self.timeout(duration),
            default: Some(default),
        }
    }

    fn read(&self, outcome: Result<Vec<u8>, CallFailure>) -> Result<T, CallError> {
        let json = outcome.map_err(CallError::from_failure)?;
        T::from_json(&json).map_err(|reason| {
            let message = format!(
                "the event `{}` does not decode into `{}`: {reason}",
                self.name,
                std::any::type_name::<T>()
            );
            CallError::Runtime(Error::new(ErrorKind::Serialization, message).with_source(reason))
        })
    }
}

impl<T: Answer> Future for EventWait<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.awaited).poll(cx));
        Poll::Ready(self.read(outcome))
    }
}

impl<T> fmt::Debug for EventWait<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventWait for `{}`, {:?}", self.name, self.awaited)
    }
}

/// A wait for an external event with a time limit, created by [`EventWait::timeout`]. Returns `None` if no event
/// arrives in time.
///
/// # Errors
/// Returns the same errors as [`EventWait`].
#[must_use = "a dropped wait is canceled; await it"]
pub struct EventTimeout<T> {
    event: EventWait<T>,
    timer: Timer,
}

impl<T: Answer> Future for EventTimeout<T> {
    type Output = Result<Option<T>, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(event) = Pin::new(&mut self.event).poll(cx) {
            return Poll::Ready(event.map(Some));
        }
        ready!(Pin::new(&mut self.timer).poll(cx));
        Poll::Ready(Ok(None))
    }
}

impl<T> fmt::Debug for EventTimeout<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, until {:?}", self.event, self.timer)
    }
}

/// A wait for an external event with a time limit and a default, created by [`EventWait::timeout_or`].
///
/// # Errors
/// Returns the same errors as [`EventWait`].
#[must_use = "a dropped wait is canceled; await it"]
pub struct EventWithDefault<T> {
    wait: EventTimeout<T>,
    default: Option<T>,
}

// No field is pinned.
impl<T> Unpin for EventWithDefault<T> {}

impl<T: Answer> Future for EventWithDefault<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let event = ready!(Pin::new(&mut self.wait).poll(cx));
        Poll::Ready(match (event, self.default.take()) {
            (Ok(Some(event)), _) => Ok(event),
            (Ok(None), Some(default)) => Ok(default),
            (Ok(None), None) => panic!("a wait for an event was polled after completion"),
            (Err(error), _) => Err(error),
        })
    }
}

impl<T> fmt::Debug for EventWithDefault<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventWithDefault, {:?}", self.wait)
    }
}

impl ExecutionState {
    /// Gives a step the oldest unread event with this name, or lets it wait for the next one.
    fn read_or_wait(&self, sequence: crate::id::Sequence, name: &str) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if let Some(step) = state.steps.get_mut(&sequence)
            && let What::Event { given, .. } = &mut step.what
        {
            *given = state.events.read_or_wait(name, sequence);
            if given.is_some() {
                state.event_notes.insert(sequence, EventNote::Given);
            }
            state.held_bytes += step.held_bytes();
        }
    }

    /// Creates a timer that is due `duration` from now.
    pub(super) fn timer_after(self: &Rc<Self>, claim: Claim, duration: Duration) -> Timer {
        let due = self.state.borrow().now.after(duration);
        Timer::new(self, claim, due)
    }
}
