//! The rows of an orchestration other than its history.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::id::{ExecutionId, InstanceId, MessageId, Sequence};
use crate::model::Outcome;
use crate::model::history::{Parent, Started, TurnRecord};
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// The status of an orchestration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
#[repr(u8)]
pub enum OrchestrationStatus {
    /// The orchestration waits for its start time.
    #[default]
    Pending = 0,
    /// The orchestration runs, waits for something, or is [stopped](Stopped).
    Running = 1,
    /// The orchestration returned `Ok`.
    Completed = 2,
    /// The orchestration returned `Err`.
    Failed = 3,
    /// A client terminated the orchestration.
    Terminated = 4,
    /// The parent canceled the orchestration.
    Canceled = 5,
    /// The next execution of the orchestration is about to begin.
    ContinuedAsNew = 6,
    /// A client suspended the orchestration.
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

    /// The statuses of orchestrations that have not ended.
    pub(crate) const LIVE: [Self; 4] = {
        let (mut live, mut found, mut at) = ([Self::Pending; 4], 0, 0);
        while at < Self::ALL.len() {
            if !Self::ALL[at].is_terminal() {
                live[found] = Self::ALL[at];
                found += 1;
            }
            at += 1;
        }
        assert!(found == live.len());
        live
    };

    /// Returns the name of the status, as used in texts and interfaces.
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

    /// Returns `true` if an orchestration with this status has ended permanently.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Terminated | Self::Canceled)
    }
}

/// The reason for which an orchestration cannot continue although it has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum StopKind {
    /// The code panicked.
    Panicked,
    /// The code diverges from its history.
    NonDeterministic,
    /// The code waits for something that is not durable.
    ForeignWait,
    /// The code issued too many commands in one turn, or kept waking itself without end.
    TurnLimit,
    /// The history is too long.
    HistoryLimit,
    /// No code with the name and version of the orchestration is registered.
    Unregistered,
}

/// The stop of an orchestration that cannot continue although it has not ended.
///
/// The orchestration remains visible and keeps its locks. It is retried at every open and when it is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
pub struct Stopped {
    /// The kind of the stop.
    pub kind: StopKind,
    /// A detailed explanation: the expected value, the actual value and the location.
    pub message: String,
}

impl Stopped {
    /// Returns the error for a client that waits for the orchestration `id`.
    pub(crate) fn error(&self, id: &str) -> Error {
        let text = format!(
            "the orchestration `{id}` is stopped ({:?}) and has not ended; it is retried when a fixed build opens the \
             hub or when it is resumed: {}",
            self.kind, self.message
        );
        Error::new(ErrorKind::Stopped, text)
    }
}

/// A dependency of an orchestration that is not registered with the hub. The orchestration waits for a build that
/// registers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Unregistered {
    /// The kind of the dependency.
    pub kind: UnregisteredKind,
    /// The stored name of the dependency, followed by the version for an orchestration.
    pub name: String,
    /// The id of the sub-orchestration that waits for it, if it is not the orchestration itself.
    pub instance: Option<String>,
}

/// The kind of an unregistered dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub enum UnregisteredKind {
    /// An activity.
    Activity,
    /// An entity type.
    Entity,
    /// An orchestration, or a version of one.
    Orchestration,
}

/// One orchestration, without its history, input, output and custom status.
///
/// Turns may have been written after the record. [`instances`](crate::views::orchestrations) reads both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OrchestrationRecord {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) status: OrchestrationStatus,
    pub(crate) execution: ExecutionId,
    pub(crate) parent: Option<Parent>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) created: Timestamp,
    pub(crate) changed: Timestamp,
    pub(crate) stopped: Option<Stopped>,
    /// Number of turns in the history of this execution.
    pub(crate) turns: u32,
    /// Number of events and commands in these turns.
    pub(crate) events: u64,
    /// Size of these turns in bytes.
    pub(crate) bytes: u64,
    /// True if a row with the custom status exists.
    pub(crate) has_custom_status: bool,
    /// The message that replaced another orchestration of the same id with this one, or [`MessageId::MIN`]. Events with
    /// lower message ids were raised for the other orchestration, unless another shard raised them.
    pub(crate) since: MessageId,
    /// The executions that this one continues after rewinds, oldest first. Steps below the number were first requested
    /// by that execution, and by no earlier one.
    pub(crate) rewound: Vec<(Sequence, ExecutionId)>,
    /// The unregistered dependencies that its steps wait for, as far as the last build that requested them knew.
    pub(crate) unregistered: Vec<(Sequence, Unregistered)>,
    /// The order of the parent that started this orchestration, for a sub-orchestration. The row through which the
    /// parent finds it names the same order.
    pub(crate) start_order: Option<MessageId>,
    /// The trace that the orchestration belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

impl OrchestrationRecord {
    /// Returns the execution that first requested a step. It does not change when a rewind requests the step again.
    pub(crate) fn asked_by(&self, sequence: Sequence) -> ExecutionId {
        let earlier = self.rewound.iter().find(|(below, _)| sequence < *below);
        earlier.map_or(self.execution, |(_, execution)| *execution)
    }

    /// Continues as another execution that keeps the steps below `below`.
    pub(crate) fn rewind(&mut self, execution: ExecutionId, below: Sequence) {
        for (known, _) in &mut self.rewound {
            *known = below.min(*known);
        }
        self.rewound.push((below, self.execution));
        self.rewound.dedup_by_key(|(below, _)| *below);
        self.execution = execution;
    }

    /// Returns the size of its texts and lists in bytes. Each of them may be large.
    pub(crate) fn text_bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
        let parent = self.parent.as_ref().map_or(0, |parent| parent.instance.as_str().len());
        let stopped = self.stopped.as_ref().map_or(0, |stopped| stopped.message.len());
        let rewound = size_of_val(self.rewound.as_slice());
        let unregistered = self.unregistered.iter().map(|(_, on)| {
            let instance = on.instance.as_ref().map_or(0, String::len);
            size_of::<(Sequence, Unregistered)>() + on.name.len() + instance
        });
        let trace = self.trace.as_ref().map_or(0, |trace| trace.weight());
        self.name.len() + self.version.len() + tags + parent + stopped + rewound + unregistered.sum::<usize>() + trace
    }

    /// Adds a turn, whose row has the given size in bytes, to the counters of the history.
    pub(crate) fn count(&mut self, turn: &TurnRecord, bytes: usize) {
        self.turns += 1;
        self.events += (turn.incoming.len() + turn.commands.len()) as u64;
        self.bytes += bytes as u64;
    }
}

/// The end of an orchestration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum EndRecord {
    /// The output as JSON.
    Completed(#[serde(with = "serde_bytes")] Vec<u8>),
    Failed(Failure),
    /// The reason for which it was terminated or canceled.
    Ended(String),
}

/// The data with which an execution begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    pub(crate) name: String,
    /// Version of the orchestration. Defaults to the newest registered version.
    pub(crate) version: Option<String>,
    #[serde(with = "serde_bytes")]
    pub(crate) input: Vec<u8>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) parent: Option<Parent>,
    /// The number that the parent gave this order, for a sub-orchestration. The message with the order has another number
    /// in another shard.
    pub(crate) order: Option<MessageId>,
    /// Earliest time of the start.
    pub(crate) at: Option<Timestamp>,
    pub(crate) reuse: ReusePolicy,
    /// Events that are delivered with the start, as names and payloads.
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
    /// The start fails if the orchestration has not ended. An ended orchestration is replaced.
    #[default]
    Error,
    /// The start returns a handle to the orchestration if it has not ended. An ended orchestration is replaced.
    Ignore,
    /// The orchestration is terminated if it has not ended, and is replaced in any case.
    Terminate,
    /// The start fails even if the orchestration has ended. Each id therefore runs only once until it is purged.
    RejectDuplicate,
}

/// A requested activity that has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ActivityRecord {
    pub(crate) name: String,
    #[serde(with = "serde_bytes")]
    pub(crate) input: Vec<u8>,
    pub(crate) attempt: u32,
    pub(crate) timeout_ms: Option<u64>,
    /// The execution that first requested it. The idempotency key contains this execution.
    pub(crate) asked_by: ExecutionId,
    /// The batch in which the start of an unfinished attempt was recorded, as far as this row is current.
    pub(crate) started: Option<u64>,
    /// The times of the crashes during which the activity was running.
    pub(crate) crashes: Vec<Timestamp>,
    /// The trace that the orchestration belongs to.
    pub(crate) trace: Option<Box<TraceContext>>,
}

/// The holder of the lock of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockRecord {
    pub(crate) owner: LockId,
    pub(crate) since: Timestamp,
}

/// The id of one lock request, stable from the request to the release.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LockId {
    /// The orchestration.
    pub(crate) instance: InstanceId,
    pub(crate) execution: ExecutionId,
    pub(crate) sequence: Sequence,
}

/// An event for an orchestration that does not exist yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EarlyEventRecord {
    pub(crate) name: String,
    #[serde(with = "serde_bytes")]
    pub(crate) payload: Vec<u8>,
}

impl EarlyEventRecord {
    /// Returns the size of its name and payload in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        (self.name.len() + self.payload.len()) as u64
    }
}

/// The expiry and size of such an event, readable without the event itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EarlyPlaceRecord {
    pub(crate) expires: Timestamp,
    pub(crate) bytes: u64,
}

/// Number and size of the events that wait for one orchestration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EarlyCountRecord {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

/// The order that a message delivers to an orchestration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Begin the orchestration.
    Start(Box<StartRecord>),
    /// Deliver the outcome of a step of this execution.
    Completed {
        execution: ExecutionId,
        sequence: Sequence,
        outcome: Outcome,
    },
    /// Deliver an external event.
    Raise {
        name: String,
        #[serde(with = "serde_bytes")]
        payload: Vec<u8>,
        /// Keep the event until this time if the orchestration does not exist yet.
        keep_until: Option<Timestamp>,
    },
    /// Report that an operator released a lock of this execution by force.
    LockLost {
        execution: ExecutionId,
        lock: Sequence,
        entity: InstanceId,
    },
    /// Cancel a sub-orchestration on behalf of its parent.
    CancelChild {
        parent: Parent,
        /// The reason, if the parent was ended from outside.
        reason: Option<String>,
        /// True if a client terminated the parent together with its sub-orchestrations.
        terminated: bool,
    },
    /// End the orchestration immediately.
    Terminate {
        reason: String,
        children: bool,
    },
    Suspend {
        reason: String,
    },
    /// Resume after a suspension or a stop.
    Resume {
        reason: String,
    },
    /// Rewind a failed orchestration to before its first failure.
    ///
    /// `start` is the start that the parent requested, if a parent rewinds. An orchestration that no longer exists or
    /// cannot be rewound starts again with it.
    Rewind {
        reason: String,
        start: Option<Box<StartRecord>>,
    },
    /// Restart the orchestration with the same input.
    Restart,
    /// Delete an ended orchestration.
    Purge {
        children: bool,
        /// The execution and the time of its last change, if the orchestration was found in a list. An orchestration
        /// that has changed since then is not deleted.
        seen: Option<(ExecutionId, Timestamp)>,
    },
    /// Run the first turn of this execution, whose start is stored in a row or held in memory.
    Begin {
        execution: ExecutionId,
    },
    /// Record the unregistered dependency that a step waits for, or that it no longer waits for one.
    Awaits {
        execution: ExecutionId,
        sequence: Sequence,
        on: Option<Unregistered>,
    },
    /// Delete an ended sub-orchestration and its own sub-orchestrations, if it is still the one started by this order.
    PurgeChild {
        start: MessageId,
    },
    /// Report that the sub-orchestration of this start order no longer exists or never began.
    ChildGone {
        start: MessageId,
    },
}

/// Sorts entities into the order in which all critical sections of the hub lock them.
///
/// The partitions of a core are adjacent in this order, at least if the number of cores is a power of two. A core owns
/// every n-th partition, and those partitions share their lowest bits. Therefore a request for locks seldom moves to
/// another core, which would write a row with all remaining ids. The order must not depend on the cores, because their
/// number may change between opens.
pub(crate) fn sort_for_locking(entities: &mut [InstanceId], partitions: u16) {
    entities.sort_by_cached_key(|id| (id.partition(partitions).0.reverse_bits(), id.clone()));
}

/// Name of the timer of an orchestration that waits for its start time.
pub(crate) const START_TIMER: &str = "start";

/// The order that a message delivers to the lock of an entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum LockOrder {
    /// Take the lock, then forward the request to the first entity of `rest`, or notify the owner after the last one.
    Take { owner: LockId, rest: VecDeque<InstanceId> },
    /// Release the lock and forward the release to the first entity of `rest`. A request that still waits in the queue
    /// is removed and not forwarded.
    Release { owner: LockId, rest: VecDeque<InstanceId> },
    /// Release the lock by force on behalf of an operator, and notify the owner.
    Force,
}

impl Order {
    /// Returns the approximate size of the order in bytes.
    pub(crate) fn weight(&self) -> usize {
        let payload = match self {
            Self::Start(start) => {
                let tags = start.tags.iter().map(|(name, value)| name.len() + value.len());
                let events = start.events.iter().map(|(name, payload)| name.len() + payload.len());
                let trace = start.trace.as_ref().map_or(0, |trace| trace.weight());
                size_of::<StartRecord>() + start.input.len() + tags.chain(events).sum::<usize>() + trace
            }
            Self::Completed { outcome, .. } => outcome.bytes(),
            Self::Raise { payload, .. } => payload.len(),
            _ => 0,
        };
        size_of::<Self>() + payload
    }
}

impl LockOrder {
    /// Returns the approximate size of the order in bytes.
    pub(crate) fn weight(&self) -> usize {
        let rest = match self {
            Self::Take { rest, .. } | Self::Release { rest, .. } => Some(rest),
            Self::Force => None,
        };
        let ids = rest
            .into_iter()
            .flatten()
            .map(|id| size_of::<InstanceId>() + id.as_str().len());
        size_of::<Self>() + ids.sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
