//! The history of an orchestration: for each turn, the incoming messages and the commands of its code.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::failure::Failure;
use crate::id::{ExecutionId, InstanceId, Sequence};
use crate::model::Outcome;
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// The version of the engine's replay rules. A history keeps the version with which it began.
pub(crate) const SEMANTICS: u8 = 1;

/// One turn of one execution. The row's key holds the execution and the turn's number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TurnRecord {
    /// Start of the turn, which is the orchestration's current time.
    pub(crate) time: Timestamp,
    /// The delivered messages, in order of delivery.
    pub(crate) incoming: Vec<Incoming>,
    /// The commands of the code, in order of emission.
    pub(crate) commands: Vec<Command>,
    /// Notes about some of these commands, by step.
    pub(crate) notes: Vec<(Sequence, StepNote)>,
}

/// A note about a step in addition to its command. A replay does not compare it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StepNote {
    /// The human-readable label of the step.
    pub(crate) label: Option<String>,
    /// The id that a worker outside of this process generated for the request or the critical section. The worker
    /// refers to the step by this id.
    pub(crate) outside_id: Option<String>,
    /// What happened to the event of a wait. The order of events and commands within a turn is not recorded.
    pub(crate) event: Option<EventNote>,
    /// The step whose next attempt the timer delays.
    pub(crate) retry_of: Option<Sequence>,
    /// The span of the step, if it has one of its own. Otherwise the step belongs to the trace of the orchestration.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// What happened to the event of a wait in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EventNote {
    /// The wait received an event.
    Given,
    /// The wait received an event and was dropped without reading it. The event went to another wait, or is unread.
    Dropped,
    /// The wait had received an event in an earlier turn and was dropped without reading it.
    Returned,
}

/// A message delivered to an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Incoming {
    /// The first message of every execution.
    Started(Box<Started>),
    /// A step has ended: an attempt of an activity or of a sub-orchestration, a timer, a call to an entity, or the
    /// acquisition of a lock.
    Completed { sequence: Sequence, outcome: Outcome },
    /// An external event.
    Raised {
        name: String,
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    },
    /// An operator released the lock of one entity of a critical section.
    LockLost { lock: Sequence, entity: InstanceId },
    /// Shown in histories, but not delivered to the code.
    Suspended { reason: String },
    /// Shown in histories, but not delivered to the code.
    Resumed { reason: String },
}

impl Incoming {
    /// Returns the size of its payload in bytes, including errors.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Raised { name, payload } => name.len() + payload.len(),
            Self::Completed { outcome, .. } => outcome.bytes(),
            _ => 0,
        }
    }
}

/// The start of an execution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// The value of [`SEMANTICS`] when the execution began.
    pub(crate) semantics: u8,
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(with = "serde_bytes")]
    pub(crate) input: Vec<u8>,
    pub(crate) parent: Option<Parent>,
    pub(crate) tags: Vec<(String, String)>,
    /// The seed of random numbers, GUIDs and default ids of children: the id of this execution or, after a rewind, of
    /// the execution that it continues.
    pub(crate) seed: ExecutionId,
    /// The trace that the orchestration belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// The orchestration and step that wait for a sub-orchestration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent {
    pub(crate) instance: InstanceId,
    pub(crate) execution: ExecutionId,
    pub(crate) sequence: Sequence,
}

/// A command of an orchestration's code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Run an activity. A retry is a command with the same sequence and a later attempt.
    CallActivity {
        sequence: Sequence,
        name: String,
        #[serde(with = "serde_bytes")]
        input: Vec<u8>,
        /// Number of the attempt, starting with 1.
        attempt: u32,
        /// Timeout of one attempt, in milliseconds. Defaults to the limit of the activity.
        timeout_ms: Option<u64>,
    },
    /// Fire a timer at `due`.
    CreateTimer { sequence: Sequence, due: Timestamp },
    /// Wait for an external event. The command sends nothing; it is recorded for replay and for readers of the history.
    WaitForEvent { sequence: Sequence, name: String },
    /// Start another orchestration and, if `wait` is set, wait for its end. A retry is a command with the same sequence
    /// and a later attempt.
    StartOrchestration {
        sequence: Sequence,
        instance: InstanceId,
        name: String,
        /// Version of the orchestration. Defaults to the newest registered version.
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
        target: InstanceId,
        operation: String,
        #[serde(with = "serde_bytes")]
        arguments: Vec<u8>,
        /// The lock under which the entity is called, inside a critical section.
        lock: Option<Sequence>,
    },
    /// Signal an operation of an entity, immediately or at a scheduled time.
    SignalEntity {
        sequence: Sequence,
        target: InstanceId,
        operation: String,
        #[serde(with = "serde_bytes")]
        arguments: Vec<u8>,
        /// The timer and its due time, if the signal is scheduled.
        at: Option<(String, Timestamp)>,
    },
    /// Cancel a scheduled signal.
    CancelSignal {
        sequence: Sequence,
        target: InstanceId,
        timer: String,
    },
    /// Raise an event to another orchestration.
    SendEvent {
        sequence: Sequence,
        instance: InstanceId,
        name: String,
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
    },
    /// Acquire the locks of these entities, which are sorted and without duplicates.
    Lock {
        sequence: Sequence,
        entities: Vec<InstanceId>,
    },
    /// Cancel a step and the work that it started, because its future was dropped or the execution ends.
    Cancel { sequence: Sequence, step: OpenStep },
    /// End this execution and begin the next one.
    ContinueAsNew {
        #[serde(with = "serde_bytes")]
        input: Vec<u8>,
        /// Version of the next execution. Defaults to the current version.
        version: Option<String>,
        /// True if the next execution receives the unread events.
        keep_events: bool,
    },
    /// End with an output.
    Complete {
        #[serde(with = "serde_bytes")]
        output: Vec<u8>,
    },
    /// End with an error.
    Fail { failure: Failure },
    /// Refuse a request because of a limit or a rule of the hub. The command is recorded, so a replay refuses the same
    /// request even if limits or rules have changed.
    Refuse {
        /// The step, or 0 for a request that ends the execution.
        sequence: Sequence,
        /// The refused request.
        what: String,
        /// The error that the code received.
        error: Error,
    },
}

/// A step that has not ended, with the data needed to cancel the work that it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OpenStep {
    Activity,
    Timer {
        due: Timestamp,
    },
    Event,
    Child {
        instance: InstanceId,
    },
    Call {
        target: InstanceId,
    },
    /// A lock that is held or, if not `granted`, still requested.
    Lock {
        entities: Vec<InstanceId>,
        granted: bool,
    },
}

#[cfg(test)]
mod tests;
