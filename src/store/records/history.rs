//! The history of an orchestration: for each turn what came in and what its code asked for.

use serde::{Deserialize, Serialize};

use crate::failure::{CallFailure, Failure};
use crate::id::{ExecutionId, Sequence};
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// The version of the engine's own rules of replay. A history keeps the one that it began with.
pub(crate) const SEMANTICS: u8 = 1;

/// One turn of one execution. The row's key holds the execution and the turn's number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TurnRecord {
    /// When the turn began: the orchestration's current time.
    pub(crate) time: Timestamp,
    /// What was delivered, one by one, in this order.
    pub(crate) incoming: Vec<Incoming>,
    /// What the code asked for, in the order of emission.
    pub(crate) commands: Vec<Command>,
    /// What is noted about some of these commands, by their steps.
    pub(crate) notes: Vec<(Sequence, StepNote)>,
}

/// What is noted about a step beside its command. No replay compares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepNote {
    /// What people call the step.
    pub(crate) label: Option<String>,
    /// The id that a worker outside of this process drew for the request, or for the critical section, and by which it knows
    /// the step.
    pub(crate) outside_id: Option<String>,
    /// The span of the step, where it has one of its own; otherwise the trace of the orchestration is that of the step.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// What an execution is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Incoming {
    /// The first of every execution.
    Started(Box<Started>),
    /// A step has ended: an attempt of an activity or of a sub-orchestration, a timer, a call of an entity, a lock that is
    /// granted.
    Completed { sequence: Sequence, outcome: StepOutcome },
    /// An external event.
    Raised {
        name: String,
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    },
    /// The lock of one entity of a critical section was released by an operator.
    LockLost { lock: Sequence, entity: String },
    /// Shown in histories, not told to the code.
    Suspended { reason: String },
    /// Shown in histories, not told to the code.
    Resumed { reason: String },
}

impl Incoming {
    /// How many bytes it brings, errors included.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Raised { name, payload } => name.len() + payload.len(),
            Self::Completed { outcome, .. } => match outcome {
                StepOutcome::Answer(answer) => answer.len(),
                StepOutcome::Returned(failure) => failure.bytes(),
                StepOutcome::Runtime(error) => error.bytes(),
            },
            _ => 0,
        }
    }
}

/// How an execution begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// [`SEMANTICS`] when the execution began.
    pub(crate) semantics: u8,
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(with = "serde_bytes")]
    pub(crate) input: Vec<u8>,
    pub(crate) parent: Option<Parent>,
    pub(crate) tags: Vec<(String, String)>,
    /// What random numbers, guids and default ids of children are made from: the id of this execution, or, after a rewind,
    /// of the one that it continues.
    pub(crate) seed: ExecutionId,
    /// The trace that the orchestration belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// Who waits for a sub-orchestration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    pub(crate) instance: String,
    pub(crate) execution: ExecutionId,
    pub(crate) sequence: Sequence,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum StepOutcome {
    /// Its answer as JSON; `null` where it has none to give.
    Answer(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The user's code returned an error.
    Returned(Failure),
    /// The runtime met something else.
    Runtime(crate::Error),
}

impl From<Result<Vec<u8>, CallFailure>> for StepOutcome {
    fn from(result: Result<Vec<u8>, CallFailure>) -> Self {
        match result {
            Ok(answer) => Self::Answer(answer),
            Err(CallFailure::Returned(failure)) => Self::Returned(failure),
            Err(CallFailure::Runtime(error)) => Self::Runtime(error),
        }
    }
}

impl From<StepOutcome> for Result<Vec<u8>, CallFailure> {
    fn from(outcome: StepOutcome) -> Self {
        match outcome {
            StepOutcome::Answer(answer) => Ok(answer),
            StepOutcome::Returned(failure) => Err(CallFailure::Returned(failure)),
            StepOutcome::Runtime(error) => Err(CallFailure::Runtime(error)),
        }
    }
}

/// What the code of an orchestration asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Run an activity. A retry is a command of the same sequence with a later attempt.
    CallActivity {
        sequence: Sequence,
        name: String,
        #[serde(with = "serde_bytes")]
        input: Vec<u8>,
        /// 1 for the first.
        attempt: u32,
        /// The longest that one attempt may run, in milliseconds; the activity's own limit if there is none.
        timeout_ms: Option<u64>,
    },
    /// Tell when `due` has come.
    CreateTimer { sequence: Sequence, due: Timestamp },
    /// Wait for an external event. Nothing leaves the execution; it is noted for replay and for who looks.
    WaitForEvent { sequence: Sequence, name: String },
    /// Start another orchestration, and tell its end if `wait`. A retry is a command of the same sequence with a later
    /// attempt.
    StartOrchestration {
        sequence: Sequence,
        instance: String,
        name: String,
        /// The newest registered one if there is none.
        version: Option<String>,
        #[serde(with = "serde_bytes")]
        input: Vec<u8>,
        tags: Vec<(String, String)>,
        wait: bool,
        attempt: u32,
    },
    /// Call an operation of an entity.
    CallEntity {
        sequence: Sequence,
        target: String,
        operation: String,
        #[serde(with = "serde_bytes")]
        arguments: Vec<u8>,
        /// The lock under which it is called, inside a critical section.
        lock: Option<Sequence>,
    },
    /// Signal an operation of an entity, now or at a time.
    SignalEntity {
        sequence: Sequence,
        target: String,
        operation: String,
        #[serde(with = "serde_bytes")]
        arguments: Vec<u8>,
        /// The timer and when it is due, if it is for later.
        at: Option<(String, Timestamp)>,
    },
    /// Cancel a scheduled signal.
    CancelSignal {
        sequence: Sequence,
        target: String,
        timer: String,
    },
    /// Raise an event at another orchestration.
    SendEvent {
        sequence: Sequence,
        instance: String,
        name: String,
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    },
    /// Ask for the locks of these entities, sorted and without duplicates.
    Lock { sequence: Sequence, entities: Vec<String> },
    /// A step is not wanted any more, and what it began is to end: its future was dropped, or the execution ends.
    Cancel { sequence: Sequence, step: OpenStep },
    /// End this execution and begin the next one.
    ContinueAsNew {
        #[serde(with = "serde_bytes")]
        input: Vec<u8>,
        /// Keeps the own version if there is none.
        version: Option<String>,
        /// Whether unread events go along.
        keep_events: bool,
    },
    /// End with an output.
    Complete {
        #[serde(with = "serde_bytes")]
        output: Vec<u8>,
    },
    /// End with an error.
    Fail { failure: Failure },
    /// Something was refused because of a limit or a rule of the hub. It is recorded, so that a replay refuses the same again
    /// even if limits and rules have changed.
    Refuse {
        /// The step; 0 for what ends the execution.
        sequence: Sequence,
        /// What was refused.
        what: String,
        /// The error that the code received.
        error: crate::Error,
    },
}

/// A step that has not ended, with what is needed to take back what it began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OpenStep {
    Activity,
    Timer {
        due: Timestamp,
    },
    Event,
    Child {
        instance: String,
    },
    Call {
        target: String,
    },
    /// A lock that is held, or still asked for if not `granted`.
    Lock {
        entities: Vec<String>,
        granted: bool,
    },
}

#[cfg(test)]
mod tests;
