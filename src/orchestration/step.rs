//! A step of an execution, until its outcome is read.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;

use crate::failure::CallFailure;
use crate::id::{InstanceId, Sequence};
use crate::model::history::{Command, OpenStep};
use crate::orchestration::events::Event;
use crate::orchestration::payload::Normalize;
use crate::retry::RetryPolicy;
use crate::time::Timestamp;

/// A step, from its call until its outcome is read or its future is dropped.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) what: What,
    /// The position of the call in the user's code.
    pub(super) place: &'static Location<'static>,
    /// The position of its newest command.
    pub(super) emitted: Emission,
    /// The outcome, until it is read.
    pub(super) outcome: Option<Result<Vec<u8>, CallFailure>>,
    /// The waker of the last poll.
    pub(super) waker: Option<Waker>,
    /// The number of the root's poll in which it was polled last.
    pub(super) polled_in: u64,
}

/// The position of a command: its turn, and its index in the list of that turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Emission {
    pub(super) turn: u32,
    pub(super) index: usize,
}

/// The operation that a step waits for.
#[derive(Debug)]
pub(super) enum What {
    Activity(Attempts),
    Child {
        instance: InstanceId,
        attempts: Attempts,
    },
    Timer {
        due: Timestamp,
    },
    /// The delay before the next attempt of another step.
    Backoff {
        of: Sequence,
        due: Timestamp,
    },
    Event {
        name: String,
        /// The event, once there is one.
        given: Option<Event>,
    },
    Call {
        target: InstanceId,
    },
    Lock {
        entities: Vec<InstanceId>,
        granted: bool,
    },
}

/// The attempts of a step that may be retried.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// `None` if the step is never retried.
    pub(super) retry: Option<Box<Retry>>,
    /// The step that delays the next attempt, while it does.
    pub(super) backoff: Option<Sequence>,
}

/// The retry policy of a step, and its progress.
pub(super) struct Retry {
    pub(super) policy: RetryPolicy,
    pub(super) condition: Option<Condition>,
    /// Number of attempts that were made.
    pub(super) made: u32,
    /// Time of the first attempt.
    pub(super) begun: Timestamp,
    /// The command of the first attempt.
    pub(super) command: Command,
    pub(super) normalize: Option<Normalize>,
}

/// The user's condition that decides whether a failure is retried.
pub(super) type Condition = Rc<dyn Fn(&CallFailure) -> bool>;

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Retry after {} of {:?}", self.made, self.policy)
    }
}

impl What {
    /// Returns the attempts of a step that has some.
    pub(super) fn attempts(&mut self) -> Option<&mut Attempts> {
        match self {
            Self::Activity(attempts) | Self::Child { attempts, .. } => Some(attempts),
            _ => None,
        }
    }

    /// Returns the size of the input for further attempts, in bytes.
    fn input_bytes(&self) -> usize {
        let (Self::Activity(attempts) | Self::Child { attempts, .. }) = self else {
            return 0;
        };
        match attempts.retry.as_deref().map(|retry| &retry.command) {
            Some(Command::CallActivity { input, .. } | Command::StartOrchestration { input, .. }) => input.len(),
            _ => 0,
        }
    }

    /// Returns the step that delays the next attempt of this one.
    fn backoff(&self) -> Option<Sequence> {
        match self {
            Self::Activity(attempts) | Self::Child { attempts, .. } => attempts.backoff,
            _ => None,
        }
    }

    /// Returns the form in which it is canceled.
    fn open_step(&self) -> OpenStep {
        match self {
            Self::Activity(_) => OpenStep::Activity,
            Self::Child { instance, .. } => OpenStep::Child {
                instance: instance.clone(),
            },
            Self::Timer { due } | Self::Backoff { due, .. } => OpenStep::Timer { due: *due },
            Self::Event { .. } => OpenStep::Event,
            Self::Call { target } => OpenStep::Call { target: target.clone() },
            Self::Lock { entities, granted } => OpenStep::Lock {
                entities: entities.clone(),
                granted: *granted,
            },
        }
    }
}

impl Step {
    /// Returns the size of the payloads that it holds, in bytes: unread results, and the input for further attempts.
    pub(super) fn held_bytes(&self) -> usize {
        let outcome = match &self.outcome {
            None => 0,
            Some(Ok(answer)) => answer.len(),
            Some(Err(CallFailure::Returned(failure))) => failure.bytes(),
            Some(Err(CallFailure::Runtime(error))) => error.message().len(),
        };
        let event = match &self.what {
            What::Event { given: Some(event), .. } => event.name.len() + event.payload.len(),
            _ => 0,
        };
        outcome + event + self.what.input_bytes()
    }

    /// Returns whether a completion of this step is still needed.
    pub(super) fn is_wanted(&self) -> bool {
        match &self.what {
            What::Event { .. } | What::Lock { granted: true, .. } => false,
            what => self.outcome.is_none() && what.backoff().is_none(),
        }
    }

    /// Returns the step to cancel if it is dropped, or `None` if it has ended. A lock ends only by its release, so a
    /// lock whose request failed is canceled too.
    pub(super) fn to_take_back(&self) -> Option<OpenStep> {
        let is_over = match &self.what {
            What::Lock { .. } => false,
            What::Event { given, .. } => given.is_some(),
            what => self.outcome.is_some() || what.backoff().is_some(),
        };
        (!is_over).then(|| self.what.open_step())
    }
}
