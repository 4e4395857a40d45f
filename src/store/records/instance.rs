//! The rows of an orchestration beside its history.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::id::{ExecutionId, MessageId, Sequence};
use crate::store::records::history::{Parent, Started, StepOutcome, TurnRecord};
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// Where an orchestration stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
#[repr(u8)]
pub enum OrchestrationStatus {
    /// It waits for its start time.
    #[default]
    Pending = 0,
    /// It runs, or waits for something, or is stopped visibly.
    Running = 1,
    /// It returned `Ok`.
    Completed = 2,
    /// It returned `Err`.
    Failed = 3,
    /// A client terminated it.
    Terminated = 4,
    /// Its parent did not want it any more.
    Canceled = 5,
    /// Its next execution is about to begin.
    ContinuedAsNew = 6,
    /// A client suspended it.
    Suspended = 7,
}

impl OrchestrationStatus {
    pub(crate) const ALL: [Self; 8] = [
        Self::Pending,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Terminated,
        Self::Canceled,
        Self::ContinuedAsNew,
        Self::Suspended,
    ];

    /// Its name, as texts and interfaces have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Terminated => "Terminated",
            Self::Canceled => "Canceled",
            Self::ContinuedAsNew => "ContinuedAsNew",
            Self::Suspended => "Suspended",
        }
    }

    /// Whether it has ended for good.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Terminated | Self::Canceled)
    }
}

/// Why an orchestration cannot go on, though it has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StopKind {
    /// Its code panicked.
    Panicked,
    /// Its code asked for something else than it did when its history was written.
    NonDeterministic,
    /// Its code waits for something that is not durable.
    ForeignWait,
    /// Its code asked for too much in one turn, or never came to rest.
    TurnLimit,
    /// Its history has become too long.
    HistoryLimit,
    /// No code of its name and version is registered.
    Unregistered,
}

/// An orchestration that cannot go on, though it has not ended: visible, its locks kept, tried again at every open and when
/// it is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// What happened.
    pub kind: StopKind,
    /// The whole story: what was expected, what was found, where.
    pub message: String,
}

impl Stopped {
    /// The error for a client that waits for the orchestration of this id.
    pub(crate) fn error(&self, id: &str) -> Error {
        let text = format!(
            "the orchestration `{id}` is stopped ({:?}) and has not ended; it is tried again when a fixed build opens the hub, \
             and when it is resumed: {}",
            self.kind, self.message
        );
        Error::new(ErrorKind::Stopped, text)
    }
}

/// Something that an orchestration waits for and that nobody has registered with the hub. It comes with a build that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unregistered {
    /// What it is.
    pub kind: UnregisteredKind,
    /// Its stored name, for an orchestration with the version behind it.
    pub name: String,
    /// The id of the sub-orchestration that waits for it, if it is not the orchestration itself.
    pub instance: Option<String>,
}

/// What is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UnregisteredKind {
    /// An activity.
    Activity,
    /// A type of entities.
    Entity,
    /// An orchestration, or a version of it.
    Orchestration,
}

/// One orchestration, without its history, input, output and custom status.
///
/// Turns may have been written after it: see [`instances`](crate::store::instances), which reads both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct InstanceRecord {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) status: OrchestrationStatus,
    pub(crate) execution: ExecutionId,
    pub(crate) parent: Option<Parent>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) stopped: Option<Stopped>,
    /// How many turns the history of this execution has.
    pub(crate) turns: u32,
    /// How many events and commands they hold.
    pub(crate) events: u64,
    /// How many bytes they have.
    pub(crate) bytes: u64,
    /// Whether there is a row of its custom status.
    pub(crate) has_custom_status: bool,
    /// The message that put it in the place of another orchestration of this id. Events with lower ids were raised for that
    /// one. [`MessageId::MIN`] if there was none.
    pub(crate) since: MessageId,
    /// The executions that this one continues after rewinds, oldest first: steps below the number were first asked for by
    /// that execution, and by no earlier one.
    pub(crate) rewound: Vec<(Sequence, ExecutionId)>,
    /// What its steps wait for and nobody has registered, as far as the last build knows that asked for it.
    pub(crate) unregistered: Vec<(Sequence, Unregistered)>,
    /// The order of its parent that it began with, for a sub-orchestration. The row by which its parent finds it names the
    /// same order.
    pub(crate) start_order: Option<MessageId>,
    /// The trace that it belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

impl InstanceRecord {
    /// The execution that first asked for a step. It stays the same when a rewind asks for the step again.
    pub(crate) fn asked_by(&self, sequence: Sequence) -> ExecutionId {
        let earlier = self.rewound.iter().find(|(below, _)| sequence < *below);
        earlier.map_or(self.execution, |(_, execution)| *execution)
    }

    /// Continues as another execution, which keeps the steps below `below`.
    pub(crate) fn rewind(&mut self, execution: ExecutionId, below: Sequence) {
        for (known, _) in &mut self.rewound {
            *known = below.min(*known);
        }
        self.rewound.push((below, self.execution));
        self.rewound.dedup_by_key(|(below, _)| *below);
        self.execution = execution;
    }

    /// How many bytes its texts and lists have, of which each may be large.
    pub(crate) fn text_bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
        let parent = self.parent.as_ref().map_or(0, |parent| parent.instance.len());
        let stopped = self.stopped.as_ref().map_or(0, |stopped| stopped.message.len());
        let rewound = size_of_val(self.rewound.as_slice());
        let unregistered = self.unregistered.iter().map(|(_, on)| {
            let instance = on.instance.as_ref().map_or(0, String::len);
            size_of::<(Sequence, Unregistered)>() + on.name.len() + instance
        });
        let trace = self.trace.as_ref().map_or(0, |trace| trace.weight());
        self.name.len() + self.version.len() + tags + parent + stopped + rewound + unregistered.sum::<usize>() + trace
    }

    /// Counts a turn, whose row has so many bytes, to the history.
    pub(crate) fn count(&mut self, turn: &TurnRecord, bytes: usize) {
        self.turns += 1;
        self.events += (turn.incoming.len() + turn.commands.len()) as u64;
        self.bytes += bytes as u64;
    }
}

/// How an orchestration ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum EndRecord {
    /// Its output as JSON.
    Completed(#[serde(with = "serde_bytes")] Vec<u8>),
    Failed(Failure),
    /// Terminated or cancelled, and why.
    Ended(String),
}

/// What begins an execution.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    pub(crate) name: String,
    /// The newest registered one if there is none.
    pub(crate) version: Option<String>,
    #[serde(with = "serde_bytes")]
    pub(crate) input: Vec<u8>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) parent: Option<Parent>,
    /// Not before this time.
    pub(crate) at: Option<Timestamp>,
    pub(crate) reuse: ReusePolicy,
    /// Events that go along, by name and payload.
    pub(crate) events: Vec<(String, serde_bytes::ByteBuf)>,
    /// The trace that the orchestration belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

impl From<Started> for StartRecord {
    fn from(started: Started) -> Self {
        Self {
            name: started.name,
            version: Some(started.version),
            input: started.input,
            tags: started.tags,
            parent: started.parent,
            trace: started.trace,
            ..Self::default()
        }
    }
}

/// The effect of a start on an existing orchestration of its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReusePolicy {
    /// The start fails if the orchestration has not ended. One that has ended is replaced.
    #[default]
    Error,
    /// The start returns a handle to the orchestration if that has not ended. One that has ended is replaced.
    Ignore,
    /// The orchestration is terminated if it has not ended, and a new one takes its place.
    Terminate,
    /// The start fails, whether the orchestration has ended or not. So each id runs once, until it is purged.
    RejectDuplicate,
}

/// An activity that was asked for and has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActivityRecord {
    pub(crate) name: String,
    #[serde(with = "serde_bytes")]
    pub(crate) input: Vec<u8>,
    pub(crate) attempt: u32,
    pub(crate) timeout_ms: Option<u64>,
    /// The execution that first asked for it, which its idempotency key names.
    pub(crate) asked_by: ExecutionId,
    /// The batch in which an attempt was recorded as started that has not ended, as far as this row knows.
    pub(crate) started: Option<u64>,
    /// When it was running while the hub went down, one for each time.
    pub(crate) crashes: Vec<Timestamp>,
    /// The trace that the orchestration belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// Who holds the lock of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockRecord {
    pub(crate) owner: LockId,
    pub(crate) since: Timestamp,
}

/// One request for locks: stable from the asking to the release.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LockId {
    /// The orchestration.
    pub(crate) instance: String,
    pub(crate) execution: ExecutionId,
    pub(crate) sequence: Sequence,
}

/// An event that waits for an orchestration which does not exist yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EarlyEventRecord {
    pub(crate) name: String,
    #[serde(with = "serde_bytes")]
    pub(crate) payload: Vec<u8>,
}

impl EarlyEventRecord {
    /// Its size, as far as it can be large.
    pub(crate) fn bytes(&self) -> u64 {
        (self.name.len() + self.payload.len()) as u64
    }
}

/// What is known of such an event without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EarlyPlaceRecord {
    pub(crate) expires: Timestamp,
    pub(crate) bytes: u64,
}

/// The events that wait for one orchestration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EarlyCountRecord {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

/// What a message asks of an orchestration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Begin.
    Start(Box<StartRecord>),
    /// A step of this execution has ended.
    Completed {
        execution: ExecutionId,
        sequence: Sequence,
        outcome: StepOutcome,
    },
    /// An external event.
    Raise {
        name: String,
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
        /// Keep it until this time if there is no such orchestration yet.
        keep_until: Option<Timestamp>,
    },
    /// An operator released a lock of this execution by force.
    LockLost {
        execution: ExecutionId,
        lock: Sequence,
        entity: String,
    },
    /// The parent does not want it any more.
    CancelChild {
        parent: Parent,
        /// Why, where the parent was ended from outside.
        reason: Option<String>,
        /// Whether a client terminated the parent, and its sub-orchestrations with it.
        terminated: bool,
    },
    /// End at once.
    Terminate {
        reason: String,
        children: bool,
    },
    Suspend {
        reason: String,
    },
    /// Go on after a suspension or a stop.
    Resume {
        reason: String,
    },
    /// Begin a failed one again from before its first failure. `start` is what the parent asked for, if a parent rewinds: an
    /// orchestration that no longer exists, or cannot be rewound, starts again with it.
    Rewind {
        reason: String,
        start: Option<Box<StartRecord>>,
    },
    /// Begin again with the same input.
    Restart,
    /// Forget one that has ended.
    Purge {
        children: bool,
        /// The execution that is meant, and when it last changed, where it was found in a list: nothing that has happened
        /// since is forgotten with it.
        seen: Option<(ExecutionId, Timestamp)>,
    },
    /// Run the first turn of this execution, whose start is a row or in memory.
    Begin {
        execution: ExecutionId,
    },
    /// Know what this step waits for that is not registered, or that it waits for nothing of the kind any more.
    Awaits {
        execution: ExecutionId,
        sequence: Sequence,
        on: Option<Unregistered>,
    },
    /// Forget a sub-orchestration that has ended, and its own, if it is still the one that began with this order.
    PurgeChild {
        start: MessageId,
    },
    /// A sub-orchestration that was to begin with this order is gone, or never began.
    ChildGone {
        start: MessageId,
    },
}

/// What a message asks about the lock of an entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum LockOrder {
    /// Take the lock, then hand the request on to the first of `rest`, or tell the owner after the last.
    Take { owner: LockId, rest: VecDeque<String> },
    /// Give it back, and hand that on to the first of `rest`. Where the request still waits in the queue it is removed, and
    /// goes no further.
    Release { owner: LockId, rest: VecDeque<String> },
    /// An operator takes it away; the owner is told.
    Force,
}

impl Order {
    /// The bytes of what it brings, about.
    pub(crate) fn weight(&self) -> usize {
        let payload = match self {
            Self::Start(start) => {
                let tags = start.tags.iter().map(|(name, value)| name.len() + value.len());
                let events = start.events.iter().map(|(name, payload)| name.len() + payload.len());
                let trace = start.trace.as_ref().map_or(0, |trace| trace.weight());
                size_of::<StartRecord>() + start.input.len() + tags.chain(events).sum::<usize>() + trace
            }
            Self::Completed { outcome, .. } => match outcome {
                StepOutcome::Answer(answer) => answer.len(),
                StepOutcome::Returned(failure) => failure.bytes(),
                StepOutcome::Runtime(error) => error.bytes(),
            },
            Self::Raise { payload, .. } => payload.len(),
            _ => 0,
        };
        size_of::<Self>() + payload
    }
}

impl LockOrder {
    /// The bytes of what it brings, about.
    pub(crate) fn weight(&self) -> usize {
        let rest = match self {
            Self::Take { rest, .. } | Self::Release { rest, .. } => Some(rest),
            Self::Force => None,
        };
        let ids = rest.into_iter().flatten().map(|id| size_of::<String>() + id.len());
        size_of::<Self>() + ids.sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
