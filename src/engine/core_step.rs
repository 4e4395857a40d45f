//! One step of a core: the turns whose effects become one commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::Serialize;

use crate::engine::changes::Changes;
use crate::engine::message::{Message, Origin, Output, Response, Token};
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
use crate::maps::InstanceMap;
use crate::model::orchestration::{
    EarlyCountRecord, EarlyEventRecord, EarlyPlaceRecord, OrchestrationStatus, StopKind,
};
use crate::model::{self, Action, Place, RequestRecord};
use crate::store::Batch;
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// Maximum row memory that a step passes on to the next one, in bytes. Few steps use more.
const KEPT_BYTES: usize = 256 * 1024;

/// One step of a core: the turns whose effects become one commit. The same type represents the step during and after
/// its construction.
#[derive(Debug, Default)]
pub(crate) struct CoreStep {
    /// Number of the step among the steps of this core.
    pub(crate) number: u64,
    /// Start of the step.
    pub(crate) now: Timestamp,
    /// All changes to the store.
    pub(crate) batch: Batch,
    /// Outputs that may leave the process once the commit is durable.
    pub(crate) outputs: Vec<Output>,
    /// Messages with rows for instances of other cores. They are delivered once the commit is written.
    pub(crate) deliveries: Vec<Message>,
    /// Clients whose calls became rows in this step, or that were attached to such a call. They still receive an
    /// answer, but no memory of the hub is reserved for them anymore.
    pub(crate) stored_calls: Vec<Token>,
    pub(crate) counts: Counts,
    /// The changes of instances, of the watched kinds.
    pub(super) changes: Changes,
    /// Events of orchestrations and activities, for metrics.
    pub(crate) facts: Vec<Fact>,

    batch_number: u64,
    next_index: u32,
    /// State rows that were read in advance for later turns.
    pub(super) loaded: InstanceMap<Option<Vec<u8>>>,
    /// Messages sent by the current turn. They are routed when the turn is over.
    pub(super) outbound: Vec<Message>,
    /// Memory that the turns of the step hold in addition to the batch, in bytes: loaded states, sent messages and
    /// answers.
    pub(super) held: usize,
    /// The trace that the current turn and its messages belong to.
    pub(super) trace: Option<Box<TraceContext>>,
    /// Size of the states that the current turn has read, in bytes.
    pub(super) loaded_bytes: usize,
    /// Reusable memory for one row.
    pub(super) row: Vec<u8>,
    /// The newest encodings of changed states.
    pub(super) encodings: Vec<u8>,
    /// Entities whose rows this step writes.
    pub(super) dirty: Vec<InstanceId>,
    /// Instances that accepted messages which need rows unless this step consumes them.
    pub(super) unsaved: Vec<InstanceId>,
    /// Instances with messages that wait for a lock and become rows when the step ends.
    pub(super) behind_locks: Vec<InstanceId>,
    /// Timers changed by this step, by the key of their name. `None` if the timer is gone.
    pub(super) timers: HashMap<Vec<u8>, Option<Timestamp>>,
    /// Dead letters removed by this step.
    pub(super) letters: BTreeSet<MessageId>,
    /// Orchestrations whose rows this step writes.
    pub(super) orchestrations: Vec<InstanceId>,
    /// Orchestrations removed by this step. Its reader still shows them.
    pub(super) erased: BTreeSet<InstanceId>,
    /// Changed events of orchestrations that have not begun, by the keys of their places. `None` if the event is gone.
    pub(super) early_events: BTreeMap<Vec<u8>, Option<(EarlyPlaceRecord, EarlyEventRecord)>>,
    /// Changed number of events that wait for an orchestration.
    pub(super) early_counts: HashMap<InstanceId, EarlyCountRecord>,
    /// Changed request rows, by key. `None` if the row is deleted.
    pub(super) requests: HashMap<Vec<u8>, Option<RequestRecord>>,
}

/// Counters of a step, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) turns: u64,
    pub(crate) operations: u64,
    /// Number of operations that returned `Err`, panicked or exceeded their time limit.
    pub(crate) failures: u64,
    pub(crate) loads: u64,
    pub(crate) timers_fired: u64,
    pub(crate) dead_letters: u64,
    /// Number of orchestrations that were started, or started again under their ids.
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
    /// Number of orchestrations that were terminated or canceled.
    pub(crate) terminated: u64,
    /// Number of orchestrations that were restored from their histories.
    pub(crate) replays: u64,
    /// The oldest processed message.
    pub(crate) oldest: Option<MessageId>,
    /// The age of the oldest processed message.
    pub(crate) queue_age: Duration,
    /// The time by which the latest timer was late.
    pub(crate) lateness: Duration,
}

/// An event of an orchestration or of an activity, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// An execution began, this long after its request.
    Started { orchestration: String, waited: Duration },
    /// An orchestration ended, this long after its creation.
    Ended {
        orchestration: String,
        status: OrchestrationStatus,
        after: Duration,
    },
    /// An orchestration was stopped.
    Stopped { orchestration: String, kind: StopKind },
    /// A sub-orchestration was requested again after a failure.
    OrchestrationRetried { orchestration: String },
    /// An activity was requested again after a failure.
    ActivityRetried { activity: String },
}

impl Counts {
    /// Counts the message among the processed ones.
    pub(super) fn process(&mut self, message: &MessageId) {
        if self.oldest.is_none_or(|oldest| *message < oldest) {
            self.oldest = Some(*message);
        }
    }
}

impl CoreStep {
    /// Returns an empty step that reuses the memory of this one.
    pub(in crate::engine) fn renewed(mut self, number: u64, now: Timestamp, batch_number: u64) -> Self {
        self.batch.clear();
        self.batch.shrink_to(KEPT_BYTES);
        self.encodings.clear();
        self.encodings.shrink_to(KEPT_BYTES);
        self.row.clear();
        self.row.shrink_to(KEPT_BYTES);
        self.outputs.clear();
        self.dirty.clear();
        self.facts.clear();
        Self {
            number,
            now,
            batch_number,
            batch: self.batch,
            outputs: self.outputs,
            row: self.row,
            encodings: self.encodings,
            dirty: self.dirty,
            facts: self.facts,
            ..Self::default()
        }
    }

    /// Returns the number of the batch that this step becomes.
    pub(super) fn batch_number(&self) -> u64 {
        self.batch_number
    }

    /// Returns the next message id of this step.
    pub(super) fn next_id(&mut self) -> MessageId {
        let id = MessageId {
            batch: self.batch_number,
            index: self.next_index,
        };
        self.next_index += 1;
        id
    }

    /// Returns the place of a new row among the rows that expire.
    pub(super) fn next_place(&mut self) -> Place {
        Place {
            number: self.next_id(),
            since: self.now,
        }
    }

    /// Sends a message from `source` when the current turn is over. Returns the id of the message.
    pub(super) fn send(&mut self, source: &InstanceId, target: InstanceId, action: Action) -> MessageId {
        self.send_from(Origin::Instance(source.clone()), target, action)
    }

    /// Sends a message with this origin when the current turn is over. Returns the id of the message.
    pub(super) fn send_from(&mut self, origin: Origin, target: InstanceId, action: Action) -> MessageId {
        let id = self.next_id();
        let message = Message::new(id, target, action, origin).in_trace(self.trace.clone());
        self.held += message.weight();
        self.outbound.push(message);
        id
    }

    /// Returns the approximate size of the commit in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.batch.bytes() + self.encodings.len()
    }

    /// Writes a record under `key`.
    pub(super) fn put<R: Serialize>(&mut self, key: &[u8], record: &R) -> Result<()> {
        model::encode_into(record, &mut self.row)?;
        self.batch.put(key, &self.row);
        Ok(())
    }

    /// Writes a record under a key that does not exist in the store.
    pub(super) fn insert<R: Serialize>(&mut self, key: &[u8], record: &R) -> Result<()> {
        model::encode_into(record, &mut self.row)?;
        self.batch.insert(key, &self.row);
        Ok(())
    }

    pub(super) fn settle(&mut self, token: Token, settled: Response) {
        self.outputs.push(Output::Settle { token, settled });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A renewed step keeps its memory but no content.
    #[test]
    fn a_renewed_step_is_as_good_as_new() {
        let id = InstanceId::trusted("@a@k");
        let mut step = CoreStep::default().renewed(1, Timestamp(1), 1);
        step.next_id();
        step.batch.put(b"key", &[0; 2 * KEPT_BYTES]);
        step.settle(Token(1), Response::Accepted);
        step.counts.turns = 1;
        step.facts.push(Fact::ActivityRetried {
            activity: String::new(),
        });
        step.loaded.insert(id.clone(), None);
        step.encodings.extend(b"{}");
        step.row.extend(b"{}");
        step.held = 1;
        step.dirty.push(id.clone());
        step.unsaved.push(id.clone());
        step.behind_locks.push(id);
        step.stored_calls.push(Token(1));
        step.timers.insert(Vec::new(), None);
        step.letters.insert(MessageId::MIN);
        step.requests.insert(Vec::new(), None);
        let renewed = step.renewed(2, Timestamp(2), 2);
        let new = CoreStep::default().renewed(2, Timestamp(2), 2);
        assert_eq!(format!("{renewed:?}"), format!("{new:?}"));
    }

    /// The age of the queue is that of the oldest message that a step processes, in whatever order.
    #[test]
    fn the_oldest_message_counts() {
        let id = |batch| MessageId { batch, index: 0 };
        let mut counts = Counts::default();
        for batch in [2, 1, 3] {
            counts.process(&id(batch));
        }
        assert_eq!(counts.oldest, Some(id(1)));
    }
}
