//! Calls of activities.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::activity::Activity;
use crate::entity::caller::Claim;
use crate::entity::{Answer, CallError, OperationError};
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::model::history::Command;
use crate::orchestration::execution::ExecutionState;
use crate::orchestration::options;
use crate::orchestration::payload::{Normalize, encode_argument};
use crate::orchestration::step::{Attempts, What};
use crate::orchestration::step_future::StepFuture;
use crate::retry::RetryPolicy;
use crate::time::Timestamp;

/// A call of an activity, created by
/// [`OrchestrationContext::call_activity`](crate::OrchestrationContext::call_activity).
///
/// The activity starts at the end of the turn, whether or not the call is awaited. Dropping the call cancels the
/// activity.
///
/// ```
/// use std::time::Duration;
///
/// use abide::prelude::*;
///
/// #[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
/// enum PayError {
///     #[error("the provider is busy")]
///     Busy,
///     #[error("the card was declined")]
///     Declined,
/// }
///
/// #[activity]
/// async fn charge(ctx: ActivityContext, cents: u64) -> Result<u64, PayError> {
///     if ctx.attempt() == 1 { Err(PayError::Busy) } else { Ok(cents) }
/// }
///
/// #[orchestration]
/// async fn order(ctx: OrchestrationContext, cents: u64) -> Result<u64, Failure> {
///     let charged = ctx
///         .call_activity::<charge>(cents)
///         .retry(RetryPolicy::new(3).first_interval(Duration::from_millis(10)))
///         .retry_if(|error: &PayError| *error != PayError::Declined);
///     Ok(charged.await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> abide::Result<()> {
/// # let hub = Hub::in_memory().activity::<charge>().orchestration::<order>().open().await?;
/// # let client = hub.client();
/// assert_eq!(client.start::<order>(900).await?.result().await?, 900);
/// # hub.shutdown().await
/// # }
/// ```
///
/// # Errors
/// Returns [`CallError::Returned`] with the activity's own error, or [`CallError::Runtime`] with an error of one of
/// these kinds:
///
/// * [`Panicked`](ErrorKind::Panicked), [`TimedOut`](ErrorKind::TimedOut) or [`Poisonous`](ErrorKind::Poisonous).
/// * [`InvalidArguments`](ErrorKind::InvalidArguments) if the activity cannot decode its input.
/// * [`Serialization`](ErrorKind::Serialization) if the input or the output cannot be converted to or from JSON.
/// * [`TooLarge`](ErrorKind::TooLarge) if the input or the output exceeds its limit.
#[must_use = "a dropped call is canceled; await it"]
pub struct ActivityCall<A> {
    awaited: StepFuture,
    activity: PhantomData<fn() -> A>,
}

impl<A: Activity> ActivityCall<A> {
    pub(super) fn new(execution: &Rc<ExecutionState>, claim: Claim, input: &A::Input) -> Self {
        let awaited = match Self::ask(execution, claim, input) {
            Ok(()) => StepFuture::open(Rc::clone(execution), claim),
            Err(error) => StepFuture::refused(Rc::clone(execution), error),
        };
        let call = Self {
            awaited,
            activity: PhantomData,
        };
        match A::OPTIONS.retry_policy() {
            Some(policy) => call.retry(policy),
            None => call,
        }
    }

    fn ask(execution: &ExecutionState, claim: Claim, input: &A::Input) -> Result<()> {
        let input = encode_argument("activity", A::NAME, input)?;
        execution.check_size(
            claim.sequence,
            || format!("the input of the activity `{}`", A::NAME),
            input.len(),
        )?;
        let command = Command::CallActivity {
            sequence: claim.sequence,
            name: A::NAME.to_owned(),
            input,
            attempt: 1,
            timeout_ms: None,
        };
        let what = What::Activity(Attempts::default());
        execution.open(claim, what, command, Some(Normalize::argument::<A::Input>()));
        Ok(())
    }

    /// Sets the retry policy of this call, which replaces the activity's own policy.
    ///
    /// The delays between attempts are steps of the history. A build that changes the policy therefore diverges from
    /// histories in which an attempt has failed.
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        if self.awaited.is_open() {
            let execution = self.awaited.execution();
            execution.set_retry(self.awaited.sequence(), policy, Some(Normalize::argument::<A::Input>()));
        }
        self
    }

    /// Retries only after errors that satisfy a condition:
    /// `.retry_if(|error: &PayError| *error != PayError::Declined)`.
    ///
    /// The condition applies to the activity's own errors. After an error of the runtime, such as a panic or a timeout,
    /// the policy alone decides. If the activity returns a [`Failure`](crate::Failure), the condition applies to errors
    /// of the runtime as well, whose [`error_type`](crate::Failure::error_type) is the name of the [`ErrorKind`]. The
    /// condition is not evaluated for errors that are marked as [non-retriable](crate::Failure::non_retriable).
    ///
    /// If the decision depends on the error alone, the activity can declare it for all its calls:
    /// `#[activity(retry_if = PayError::is_transient)]`.
    ///
    /// # Panics
    /// Panics if neither this call nor the activity has a retry policy, or if called after an await.
    #[track_caller]
    pub fn retry_if(self, condition: impl Fn(&A::Error) -> bool + 'static) -> Self {
        if self.awaited.is_open() {
            let execution = self.awaited.execution();
            execution.set_condition(self.awaited.sequence(), options::condition(condition));
        }
        self
    }

    /// Sets the time limit of one attempt, which replaces the activity's own limit.
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn timeout(self, timeout: Duration) -> Self {
        if self.awaited.is_open() {
            let Timestamp(millis) = Timestamp(0).after(timeout);
            self.awaited
                .execution()
                .configure(self.awaited.sequence(), |_, command| {
                    if let Command::CallActivity { timeout_ms, .. } = command {
                        *timeout_ms = Some(millis);
                    }
                });
        }
        self
    }

    /// Sets a label, which the history shows beside the activity.
    ///
    /// At most 256 bytes of it are kept. Replays ignore labels, so they may change with any build.
    ///
    /// # Panics
    /// Panics if called after an await. Set options where the call is made.
    #[track_caller]
    pub fn label(self, label: impl AsRef<str>) -> Self {
        self.awaited.label(label.as_ref());
        self
    }
}

impl<A: Activity> Future for ActivityCall<A> {
    type Output = Result<A::Output, CallError<A::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.awaited).poll(cx));
        Poll::Ready(read("activity", A::NAME, outcome))
    }
}

/// Decodes an outcome into its types.
pub(super) fn read<T: Answer, E: OperationError>(
    what: &str,
    name: &str,
    outcome: Result<Vec<u8>, CallFailure>,
) -> Result<T, CallError<E>> {
    let json = outcome.map_err(CallError::from_failure)?;
    T::from_json(&json).map_err(|reason| {
        let message = format!(
            "the output of the {what} `{name}` does not decode into `{}`: {reason}; the {what} has completed",
            std::any::type_name::<T>()
        );
        CallError::Runtime(Error::new(ErrorKind::Serialization, message).with_source(reason))
    })
}

impl<A: Activity> fmt::Debug for ActivityCall<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActivityCall of `{}`, {:?}", A::NAME, self.awaited)
    }
}
