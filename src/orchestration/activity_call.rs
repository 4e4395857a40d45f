//! A call of an activity.

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
use crate::orchestration::awaited::Awaited;
use crate::orchestration::journal::Journal;
use crate::orchestration::options;
use crate::orchestration::payload::{Normalize, encode_argument};
use crate::orchestration::step::{Attempts, What};
use crate::retry::RetryPolicy;
use crate::store::records::history::Command;
use crate::time::Timestamp;

/// A call of an activity, made by [`OrchestrationContext::call_activity`](crate::OrchestrationContext::call_activity). It
/// runs whether it is awaited or not, from the end of the turn on; dropping it cancels it.
///
/// # Errors
/// [`CallError::Returned`] with the activity's own error. [`CallError::Runtime`] with
/// [`Panicked`](ErrorKind::Panicked), [`TimedOut`](ErrorKind::TimedOut), [`Poisonous`](ErrorKind::Poisonous), with
/// [`InvalidArguments`](ErrorKind::InvalidArguments) if the activity does not understand its input, with
/// [`Serialization`](ErrorKind::Serialization) if input or answer do not become JSON or come back from it, and with
/// [`TooLarge`](ErrorKind::TooLarge).
#[must_use = "a call that is dropped is cancelled: await it"]
pub struct ActivityCall<A> {
    awaited: Awaited,
    activity: PhantomData<fn() -> A>,
}

impl<A: Activity> ActivityCall<A> {
    pub(super) fn new(journal: &Rc<Journal>, claim: Claim, input: &A::Input) -> Self {
        let awaited = match Self::ask(journal, claim, input) {
            Ok(()) => Awaited::open(Rc::clone(journal), claim),
            Err(error) => Awaited::refused(Rc::clone(journal), error),
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

    fn ask(journal: &Journal, claim: Claim, input: &A::Input) -> Result<()> {
        let input = encode_argument("activity", A::NAME, input)?;
        journal.check_size(
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
        journal.open(claim, what, command, Some(Normalize::argument::<A::Input>()));
        Ok(())
    }

    /// Repeats attempts that fail, in the place of the activity's own policy.
    ///
    /// The waits between attempts are steps of the history, so that a build that changes the policy diverges from histories in
    /// which an attempt has failed.
    ///
    /// # Panics
    /// After an await: options are set where the call is made.
    #[track_caller]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        if self.awaited.is_open() {
            let journal = self.awaited.journal();
            journal.set_retry(self.awaited.sequence(), policy, Some(Normalize::argument::<A::Input>()));
        }
        self
    }

    /// Repeats only attempts whose error meets the condition: `.retry_if(|error: &PayError| *error != PayError::Declined)`.
    ///
    /// The condition is asked about the activity's own errors. What the runtime met, a panic or a time limit, is repeated as
    /// the policy says; where the activity returns a [`Failure`](crate::Failure), the condition is asked about that as well,
    /// and its [`error_type`](crate::Failure::error_type) is the name of the [`ErrorKind`]. What is
    /// [marked](crate::Failure::non_retriable) as not worth another attempt is not asked about.
    ///
    /// Where it depends on the error alone, the activity can say so itself, for all its calls:
    /// `#[activity(retry_if = PayError::is_transient)]`.
    ///
    /// # Panics
    /// If neither this call nor the activity has a retry policy, and after an await.
    #[track_caller]
    pub fn retry_if(self, condition: impl Fn(&A::Error) -> bool + 'static) -> Self {
        if self.awaited.is_open() {
            let journal = self.awaited.journal();
            journal.set_condition(self.awaited.sequence(), options::condition(condition));
        }
        self
    }

    /// How long one attempt may run, in the place of the activity's own limit.
    ///
    /// # Panics
    /// After an await: options are set where the call is made.
    #[track_caller]
    pub fn timeout(self, timeout: Duration) -> Self {
        if self.awaited.is_open() {
            let Timestamp(millis) = Timestamp(0).after(timeout);
            self.awaited.journal().configure(self.awaited.sequence(), |_, command| {
                if let Command::CallActivity { timeout_ms, .. } = command {
                    *timeout_ms = Some(millis);
                }
            });
        }
        self
    }

    /// Names the call for people: the history shows the label beside the activity. It has at most 256 bytes, is not compared by
    /// replays, and may change with any build.
    ///
    /// # Panics
    /// After an await: options are set where the call is made.
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

/// Gives an outcome its types.
pub(super) fn read<T: Answer, E: OperationError>(
    what: &str,
    name: &str,
    outcome: Result<Vec<u8>, CallFailure>,
) -> Result<T, CallError<E>> {
    let json = outcome.map_err(CallError::from_failure)?;
    T::from_json(&json).map_err(|reason| {
        let message = format!(
            "the answer of the {what} `{name}` does not decode into `{}`: {reason}; it has run to its end",
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
