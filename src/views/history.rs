//! The history of an orchestration, for people and tools.

mod activities;
mod read;

use std::time::SystemTime;

use serde::Serialize;

pub use self::activities::{ActivityCall, ActivityOutcome, activities};
pub(crate) use self::read::{read, read_part};
use crate::error::Error;
use crate::failure::Failure;
use crate::id::Sequence;
use crate::views::json;

/// A part of a history. Returned by [`history_turns`](crate::client::OrchestrationHandle::history_turns).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HistoryPart {
    /// The events of the requested turns, oldest first.
    pub events: Vec<HistoryEvent>,
    /// The number of turns of the whole history.
    pub turns: u32,
}

/// One event of a history: an incoming event, or a request of the code.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistoryEvent {
    /// The time at which its turn began.
    #[serde(serialize_with = "json::time")]
    pub time: SystemTime,
    /// The number of that turn, starting at 0.
    pub turn: u32,
    /// The label of its step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The kind of the event and its data.
    #[serde(flatten)]
    pub kind: HistoryEventKind,
}

/// The kind of a [`HistoryEvent`]. Payloads are JSON text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum HistoryEventKind {
    /// The execution began.
    ExecutionStarted {
        /// The stored name of the type.
        name: String,
        /// The version that it runs. Empty if it has no version.
        version: String,
        /// Its input.
        #[serde(serialize_with = "json::payload")]
        input: String,
        /// The id of the orchestration that waits for it.
        parent: Option<String>,
        /// Its tags.
        tags: Vec<(String, String)>,
    },
    /// The code began a step.
    StepScheduled {
        /// The step's number.
        sequence: u64,
        /// The kind of the step.
        step: HistoryStep,
        /// Its input, if it takes one.
        #[serde(serialize_with = "json::optional_payload")]
        input: Option<String>,
        /// The number of the attempt, starting at 1.
        attempt: u32,
    },
    /// A step completed successfully.
    StepCompleted {
        /// The step's number.
        sequence: u64,
        /// The kind of the step. `None` if the step began before this history does.
        step: Option<HistoryStep>,
        /// The time at which the step, or its last attempt, was scheduled.
        #[serde(serialize_with = "json::optional_time")]
        scheduled: Option<SystemTime>,
        /// Its result. `null` for a step without a result.
        #[serde(serialize_with = "json::payload")]
        result: String,
    },
    /// An attempt of a step failed.
    StepFailed {
        /// The step's number.
        sequence: u64,
        /// The kind of the step. `None` if the step began before this history does.
        step: Option<HistoryStep>,
        /// The time at which the step, or its last attempt, was scheduled.
        #[serde(serialize_with = "json::optional_time")]
        scheduled: Option<SystemTime>,
        /// The error returned by the code of the step.
        failure: Option<Failure>,
        /// The error of the runtime, if the code of the step did not return one.
        error: Option<Error>,
    },
    /// A step was canceled because its result is no longer needed.
    StepCanceled {
        /// The step's number.
        sequence: u64,
        /// The kind of the step.
        step: Option<HistoryStep>,
    },
    /// The code released the locks of a critical section. Locks that were not granted yet are
    /// [canceled](Self::StepCanceled).
    LockReleased {
        /// The number of the step that took the locks.
        sequence: u64,
        /// That step, with the entities.
        step: HistoryStep,
    },
    /// The code requested something that a limit or a rule of the hub forbids. No part of the request was sent.
    StepRefused {
        /// The step's number. 0 for the end of the execution.
        sequence: u64,
        /// A description of the refused request.
        what: String,
        /// The error that the code received.
        error: Error,
    },
    /// An external event was received.
    EventRaised {
        /// Its name.
        name: String,
        /// Its payload.
        #[serde(serialize_with = "json::payload")]
        payload: String,
    },
    /// The code sent an event to another orchestration.
    EventSent {
        /// The step's number.
        sequence: u64,
        /// The id of the other orchestration.
        instance: String,
        /// The name of the event.
        name: String,
        /// The payload of the event.
        #[serde(serialize_with = "json::payload")]
        payload: String,
    },
    /// The code started another orchestration without waiting for it.
    OrchestrationStarted {
        /// The step's number.
        sequence: u64,
        /// The id of the other orchestration.
        instance: String,
        /// The stored name of its type.
        name: String,
        /// Its input.
        #[serde(serialize_with = "json::payload")]
        input: String,
    },
    /// The code signaled an entity.
    EntitySignaled {
        /// The step's number.
        sequence: u64,
        /// The entity.
        entity: String,
        /// The operation.
        operation: String,
        /// Its arguments.
        #[serde(serialize_with = "json::payload")]
        input: String,
        /// The time at which the signal is due, if it is scheduled.
        #[serde(serialize_with = "json::optional_time")]
        due: Option<SystemTime>,
    },
    /// The code canceled a scheduled signal.
    SignalCanceled {
        /// The step's number.
        sequence: u64,
        /// The entity.
        entity: String,
        /// The id of the timer.
        timer: String,
    },
    /// An operator forcibly released a lock of the execution.
    LockLost {
        /// The number of the step that took the lock.
        sequence: u64,
        /// The entity.
        entity: String,
    },
    /// The execution was suspended.
    ExecutionSuspended {
        /// The reason for the suspension.
        reason: String,
    },
    /// The execution was resumed.
    ExecutionResumed {
        /// The reason for resuming it.
        reason: String,
    },
    /// The execution ended, and the next one began with a new input.
    ContinuedAsNew {
        /// The input of the next execution.
        #[serde(serialize_with = "json::payload")]
        input: String,
        /// The version of the next execution, if it differs.
        version: Option<String>,
    },
    /// The execution returned `Ok`.
    ExecutionCompleted {
        /// Its output.
        #[serde(serialize_with = "json::payload")]
        output: String,
    },
    /// The execution returned `Err`.
    ExecutionFailed {
        /// The error that it returned.
        failure: Failure,
    },
    /// The execution was terminated by a client or canceled by its parent.
    ExecutionTerminated {
        /// The reason for the termination.
        reason: String,
        /// `true` if its parent terminated it, `false` if a client did.
        by_parent: bool,
    },
}

impl HistoryEventKind {
    /// Returns the number of its step, if it is about one.
    fn sequence(&self) -> Option<Sequence> {
        match self {
            Self::StepScheduled { sequence, .. }
            | Self::StepCompleted { sequence, .. }
            | Self::StepFailed { sequence, .. }
            | Self::StepCanceled { sequence, .. }
            | Self::LockReleased { sequence, .. }
            | Self::StepRefused { sequence, .. }
            | Self::EventSent { sequence, .. }
            | Self::OrchestrationStarted { sequence, .. }
            | Self::EntitySignaled { sequence, .. }
            | Self::SignalCanceled { sequence, .. }
            | Self::LockLost { sequence, .. } => Some(*sequence),
            Self::ExecutionStarted { .. }
            | Self::EventRaised { .. }
            | Self::ExecutionSuspended { .. }
            | Self::ExecutionResumed { .. }
            | Self::ContinuedAsNew { .. }
            | Self::ExecutionCompleted { .. }
            | Self::ExecutionFailed { .. }
            | Self::ExecutionTerminated { .. } => None,
        }
    }
}

/// The kind of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[serde(tag = "kind")]
#[non_exhaustive]
pub enum HistoryStep {
    /// An activity.
    Activity {
        /// The stored name.
        name: String,
    },
    /// A durable timer.
    Timer {
        /// The time at which it is due.
        #[serde(serialize_with = "json::time")]
        #[cfg_attr(feature = "http", schema(value_type = String, format = DateTime))]
        due: SystemTime,
    },
    /// The wait for an external event. The events that were received have their own
    /// [`EventRaised`](HistoryEventKind::EventRaised) entries.
    Event {
        /// The name of the awaited event.
        name: String,
    },
    /// A sub-orchestration.
    SubOrchestration {
        /// The stored name of its type.
        name: String,
        /// Its id.
        instance: String,
    },
    /// A call of an entity.
    EntityCall {
        /// The entity.
        entity: String,
        /// The operation.
        operation: String,
    },
    /// The locks of a critical section.
    Lock {
        /// The entities.
        entities: Vec<String>,
    },
}
