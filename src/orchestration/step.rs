//! One step of an execution that has not been read to its end.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;

use crate::failure::CallFailure;
use crate::id::Sequence;
use crate::orchestration::events::Event;
use crate::orchestration::payload::Normalize;
use crate::retry::RetryPolicy;
use crate::store::records::history::{Command, OpenStep};
use crate::time::Timestamp;

/// One step, from its call to the moment at which its outcome is read or its future dropped.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) what: What,
    /// Where the call stands in the user's code.
    pub(super) place: &'static Location<'static>,
    /// Where its newest command stands.
    pub(super) emitted: Emission,
    /// How it ended, until somebody reads it.
    pub(super) outcome: Option<Result<Vec<u8>, CallFailure>>,
    /// Who polled it last.
    pub(super) waker: Option<Waker>,
    /// In which poll of the root that was.
    pub(super) polled_in: u64,
}

/// Where a command stands: in which turn, and at which place of that turn's list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Emission {
    pub(super) turn: u32,
    pub(super) index: usize,
}

/// What a step waits for.
#[derive(Debug)]
pub(super) enum What {
    Activity(Attempts),
    Child {
        instance: String,
        attempts: Attempts,
    },
    Timer {
        due: Timestamp,
    },
    /// The wait before the next attempt of another step.
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
        target: String,
    },
    Lock {
        entities: Vec<String>,
        granted: bool,
    },
}

/// The attempts of a step that may be repeated.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Nothing if it is never repeated.
    pub(super) retry: Option<Box<Retry>>,
    /// The step that waits before the next attempt, while it does.
    pub(super) backoff: Option<Sequence>,
}

/// How a step is repeated.
pub(super) struct Retry {
    pub(super) policy: RetryPolicy,
    pub(super) condition: Option<Condition>,
    /// How many attempts were made.
    pub(super) made: u32,
    /// When the first attempt was made.
    pub(super) begun: Timestamp,
    /// What the first attempt asked for.
    pub(super) command: Command,
    pub(super) normalize: Option<Normalize>,
}

/// Whether a failure is worth another attempt, as the user's code has it.
pub(super) type Condition = Rc<dyn Fn(&CallFailure) -> bool>;

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Retry after {} of {:?}", self.made, self.policy)
    }
}

impl What {
    /// The attempts of a step that has some.
    pub(super) fn attempts(&mut self) -> Option<&mut Attempts> {
        match self {
            Self::Activity(attempts) | Self::Child { attempts, .. } => Some(attempts),
            _ => None,
        }
    }

    /// How many bytes the input of further attempts has.
    fn input_bytes(&self) -> usize {
        let (Self::Activity(attempts) | Self::Child { attempts, .. }) = self else {
            return 0;
        };
        match attempts.retry.as_deref().map(|retry| &retry.command) {
            Some(Command::CallActivity { input, .. } | Command::StartOrchestration { input, .. }) => input.len(),
            _ => 0,
        }
    }

    /// Which step waits before the next attempt of this one.
    fn backoff(&self) -> Option<Sequence> {
        match self {
            Self::Activity(attempts) | Self::Child { attempts, .. } => attempts.backoff,
            _ => None,
        }
    }

    /// The form in which it is taken back.
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
    /// How many bytes of payloads it holds: results that were not read yet, and the input of further attempts.
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

    /// Whether a completion of this step is of any use.
    pub(super) fn is_wanted(&self) -> bool {
        match &self.what {
            What::Event { .. } | What::Lock { granted: true, .. } => false,
            what => self.outcome.is_none() && what.backoff().is_none(),
        }
    }

    /// What has to be taken back if nobody wants it any more: nothing if it has ended. A lock ends by its release alone, so
    /// that one whose request failed on the way is taken back too.
    pub(super) fn to_take_back(&self) -> Option<OpenStep> {
        let is_over = match &self.what {
            What::Lock { .. } => false,
            What::Event { given, .. } => given.is_some(),
            what => self.outcome.is_some() || what.backoff().is_some(),
        };
        (!is_over).then(|| self.what.open_step())
    }
}
