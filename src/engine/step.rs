//! One step of a core: the turns whose effects become one commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::engine::message::{Message, Origin, Output, Settled, Token};
use crate::engine::states::InstanceMap;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
use crate::store::Batch;
use crate::store::records::instance::{EarlyCountRecord, EarlyEventRecord, EarlyPlaceRecord};
use crate::store::records::{self, Action, Place, RequestRecord};
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// How much memory for rows a step hands on to the next one. Few steps have more.
const KEPT_BYTES: usize = 256 * 1024;

/// One step of a core: the turns whose effects become one commit, while it is built and when it is done.
#[derive(Debug, Default)]
pub(crate) struct Step {
    /// Counts the steps of this core.
    pub(crate) number: u64,
    /// When the step began.
    pub(crate) now: Timestamp,
    /// Everything that changes in the store.
    pub(crate) batch: Batch,
    /// What may leave the process once the commit is durable.
    pub(crate) outputs: Vec<Output>,
    /// Messages with rows, for instances of other cores, to be delivered once the commit is written.
    pub(crate) deliveries: Vec<Message>,
    /// Clients whose calls wait as rows from here on, or for one that does. They are still owed an answer, but no memory of
    /// the hub depends on them any more.
    pub(crate) stored_calls: Vec<Token>,
    pub(crate) counts: Counts,

    batch_number: u64,
    next_index: u32,
    /// State rows that were read for turns to come.
    pub(super) loaded: InstanceMap<Option<Vec<u8>>>,
    /// What the operations of the running turn sent, to be routed when the turn is over.
    pub(super) outbound: Vec<Message>,
    /// What the step's turns hold in memory beside the batch, in bytes: states that they read, messages that they sent, answers.
    pub(super) held: usize,
    /// The trace that the running turn belongs to, and with it what it sends.
    pub(super) trace: Option<Box<TraceContext>>,
    /// The bytes of the states that the running turn has read.
    pub(super) loaded_bytes: usize,
    /// Memory for one row at a time.
    pub(super) row: Vec<u8>,
    /// The newest encodings of changed states.
    pub(super) encodings: Vec<u8>,
    /// Entities whose row this step writes.
    pub(super) dirty: Vec<InstanceId>,
    /// Instances that took in messages which need rows if nobody consumes them in this step.
    pub(super) unsaved: Vec<InstanceId>,
    /// Instances with messages that wait for a lock and get rows when the step ends.
    pub(super) behind_locks: Vec<InstanceId>,
    /// Timers as this step leaves them, by the key of their name; `None` if there is none any more.
    pub(super) timers: HashMap<Vec<u8>, Option<Timestamp>>,
    /// Dead letters that this step removed.
    pub(super) letters: BTreeSet<MessageId>,
    /// Orchestrations whose row this step writes.
    pub(super) instances: Vec<InstanceId>,
    /// Orchestrations that this step removed, though its reader still shows them.
    pub(super) erased: BTreeSet<InstanceId>,
    /// Events for orchestrations that are still to begin, as this step leaves them, by the keys of their places; `None` if
    /// the event is gone.
    pub(super) early_events: BTreeMap<Vec<u8>, Option<(EarlyPlaceRecord, EarlyEventRecord)>>,
    /// How many events wait for an orchestration, as this step leaves it.
    pub(super) early_counts: HashMap<InstanceId, EarlyCountRecord>,
    /// Request rows as this step leaves them, by key; `None` if the row is forgotten.
    pub(super) requests: HashMap<Vec<u8>, Option<RequestRecord>>,
}

/// What happened in a step, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) turns: u64,
    pub(crate) operations: u64,
    /// Operations that returned `Err`, panicked or ran out of time.
    pub(crate) failures: u64,
    pub(crate) loads: u64,
    pub(crate) timers_fired: u64,
    pub(crate) dead_letters: u64,
}

impl Step {
    /// A step that has done nothing yet, with the memory of this one.
    pub(in crate::engine) fn renewed(mut self, number: u64, now: Timestamp, batch_number: u64) -> Self {
        self.batch.clear();
        self.batch.shrink_to(KEPT_BYTES);
        self.encodings.clear();
        self.encodings.shrink_to(KEPT_BYTES);
        self.row.clear();
        self.row.shrink_to(KEPT_BYTES);
        self.outputs.clear();
        self.dirty.clear();
        Self {
            number,
            now,
            batch_number,
            batch: self.batch,
            outputs: self.outputs,
            row: self.row,
            encodings: self.encodings,
            dirty: self.dirty,
            ..Self::default()
        }
    }

    /// The number of the batch that this step becomes.
    pub(super) fn batch_number(&self) -> u64 {
        self.batch_number
    }

    /// The next message id of this step.
    pub(super) fn next_id(&mut self) -> MessageId {
        let id = MessageId {
            batch: self.batch_number,
            index: self.next_index,
        };
        self.next_index += 1;
        id
    }

    /// The place of a row that this step adds to those which are removed by age.
    pub(super) fn next_place(&mut self) -> Place {
        Place {
            number: self.next_id(),
            since: self.now,
        }
    }

    /// Lets `source` send something when the running turn is over, and returns the id of the message.
    pub(super) fn send(&mut self, source: &InstanceId, target: InstanceId, action: Action) -> MessageId {
        self.send_from(Origin::Instance(source.clone()), target, action)
    }

    /// Lets `origin` send something when the running turn is over, and returns the id of the message.
    pub(super) fn send_from(&mut self, origin: Origin, target: InstanceId, action: Action) -> MessageId {
        let id = self.next_id();
        let message = Message::new(id, target, action, origin).in_trace(self.trace.clone());
        self.held += message.weight();
        self.outbound.push(message);
        id
    }

    /// The bytes that the commit will have, about.
    pub(super) fn bytes(&self) -> usize {
        self.batch.bytes() + self.encodings.len()
    }

    /// Writes a record under `key`.
    pub(super) fn put<R: Serialize>(&mut self, key: &[u8], record: &R) -> Result<()> {
        records::encode_into(record, &mut self.row)?;
        self.batch.put(key, &self.row);
        Ok(())
    }

    /// Writes a record under a key that is not in the store.
    pub(super) fn insert<R: Serialize>(&mut self, key: &[u8], record: &R) -> Result<()> {
        records::encode_into(record, &mut self.row)?;
        self.batch.insert(key, &self.row);
        Ok(())
    }

    pub(super) fn settle(&mut self, token: Token, settled: Settled) {
        self.outputs.push(Output::Settle { token, settled });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step hands on its memory and nothing that is in it.
    #[test]
    fn a_renewed_step_is_as_good_as_new() {
        let id = InstanceId::trusted("@a@k");
        let mut step = Step::default().renewed(1, Timestamp(1), 1);
        step.next_id();
        step.batch.put(b"key", &[0; 2 * KEPT_BYTES]);
        step.settle(Token(1), Settled::Accepted);
        step.counts.turns = 1;
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
        let new = Step::default().renewed(2, Timestamp(2), 2);
        assert_eq!(format!("{renewed:?}"), format!("{new:?}"));
    }
}
