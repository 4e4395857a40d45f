//! The messages that wait for one instance.

use std::collections::VecDeque;

use crate::engine::message::Message;
use crate::engine::step::Step;
use crate::error::Result;
use crate::id::{MessageId, PartitionId};

/// Messages for which every list of a mailbox may keep capacity.
const KEPT_MESSAGES: usize = 4;

/// The messages that wait for one instance, and why they wait. Exists only while there is something to remember.
///
/// Order: first those that pass the queue, then `waiting`, then the rows from `rows` on, then `arrivals`. While `rows` is set,
/// whatever arrives is only a row, so that nothing overtakes; so it is with those that pass the queue and `urgent_rows`.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// What came in and was not looked at.
    pub(crate) arrivals: VecDeque<Message>,
    /// Messages with rows, in order, that are also in memory.
    pub(crate) waiting: VecDeque<Message>,
    /// Rows from this one on may be in the store and are not in memory.
    pub(crate) rows: Option<MessageId>,
    /// Messages that pass the queue, in order. In front of them stands an order that is carried out in part, whatever it is.
    pub(crate) urgent: VecDeque<Message>,
    /// Whether rows of such messages may be in the store that are not in memory. They are few, and read all at once.
    pub(crate) urgent_rows: bool,
    /// How many messages wait, in memory or not, as far as it is known.
    pub(crate) waiting_count: usize,
    /// Whether rows may wait that were not counted.
    pub(crate) uncounted: bool,
    /// The bytes of its messages in memory, as of the end of its last turn, and of what has arrived since.
    pub(crate) bytes: usize,
    pub(crate) block: Block,
    /// Whether the instance is in the queue of those that can run.
    pub(crate) ready: bool,
    /// The step that last changed a row of this instance, so that reads of rows wait for the next one.
    pub(crate) touched_in: u64,
    /// Whether a client was told that the queue is full.
    pub(crate) refused: bool,
}

/// Why an instance does not process its messages.
#[derive(Debug, Default)]
pub(crate) enum Block {
    /// It does.
    #[default]
    Open,
    /// An `async` operation runs.
    Running(Box<Message>),
    /// An `async` operation has run out of time, and its sender has the error. It blocks its thread, so that it still runs.
    Lingering(MessageId),
    /// Its state does not decode.
    Quarantined(String),
    /// The operator opened the hub with this instance held.
    Held,
    /// Nobody registered its type.
    Unregistered,
    /// It is an orchestration that a client suspended.
    Suspended,
    /// It is an orchestration whose code cannot go on.
    Stopped,
}

impl Block {
    /// Whether an `async` operation runs, in its time or beyond.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Lingering(_))
    }
}

impl Mailbox {
    /// Makes it as good as new. It keeps capacity for `kept` arrivals.
    pub(crate) fn clear(&mut self, kept: usize) {
        let Self {
            arrivals,
            waiting,
            rows,
            urgent,
            urgent_rows,
            waiting_count,
            uncounted,
            bytes,
            block,
            ready,
            touched_in,
            refused,
        } = self;
        for (messages, kept) in [(arrivals, kept), (waiting, KEPT_MESSAGES), (urgent, KEPT_MESSAGES)] {
            messages.clear();
            messages.shrink_to(kept);
        }
        *rows = None;
        *block = Block::Open;
        (*waiting_count, *bytes, *touched_in) = (0, 0, 0);
        (*urgent_rows, *uncounted, *ready, *refused) = (false, false, false, false);
    }

    /// Gives back the capacity that it does not need while it waits: only the messages themselves are counted.
    pub(crate) fn give_back_capacity(&mut self) {
        for messages in [&mut self.arrivals, &mut self.waiting, &mut self.urgent] {
            let enough = 2 * messages.len().max(KEPT_MESSAGES / 2);
            if messages.capacity() > 2 * enough {
                messages.shrink_to(enough);
            }
        }
    }

    /// Whether nothing would be forgotten with it.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.block, Block::Open)
            && self.arrivals.is_empty()
            && self.urgent.is_empty()
            && !self.urgent_rows
            && self.waiting.is_empty()
            && self.rows.is_none()
            && !self.refused
    }

    /// Whether a message that sets or cancels a timer is in memory.
    pub(crate) fn has_control(&self) -> bool {
        let mut messages = self.waiting.iter().chain(&self.arrivals);
        messages.any(Message::is_control)
    }

    /// Writes the row of a message for this instance. The step's reader does not see it.
    pub(crate) fn give_row(&mut self, message: &mut Message, partition: PartitionId, step: &mut Step) -> Result<()> {
        let (key, value) = message.row(partition)?;
        step.batch.insert(&key, &value);
        message.stored = true;
        self.touched_in = step.number;
        Ok(())
    }

    /// Puts a message back that was taken and not processed.
    pub(crate) fn return_first(&mut self, message: Message) {
        if message.is_urgent() {
            self.urgent.push_front(message);
        } else if message.stored {
            self.waiting_count += 1;
            self.waiting.push_front(message);
        } else {
            self.arrivals.push_front(message);
        }
    }

    /// Takes in a message that has a row: into memory while there is room and nothing before it is only a row.
    pub(crate) fn park(&mut self, message: Message, in_memory: usize) {
        debug_assert!(message.stored);
        self.waiting_count += 1;
        match self.rows {
            None if self.waiting.len() < in_memory => self.waiting.push_back(message),
            Some(first) if first <= message.id => {}
            _ => self.leave_to_rows(message.id),
        }
    }

    /// Leaves every message from `id` on to its row, and what has arrived with one as well: what stays in memory beside a row
    /// that is still to be read would be processed twice. A message may have a lower id than what is in memory already, since it
    /// may have been on its way for longer.
    fn leave_to_rows(&mut self, id: MessageId) {
        let arrived = self
            .arrivals
            .iter()
            .filter(|message| message.stored)
            .map(|message| message.id);
        let first = arrived.chain([id]).min().unwrap_or(id);
        let before = self.arrivals.len();
        self.arrivals.retain(|message| !message.stored);
        self.waiting_count += before - self.arrivals.len();
        self.waiting.retain(|message| message.id < first);
        self.rows = Some(first);
    }

    /// Leaves every message in line that has a row to its row: it is read again when it is wanted.
    pub(crate) fn shed(&mut self) {
        let stored = self
            .waiting
            .iter()
            .chain(&self.arrivals)
            .filter(|message| message.stored);
        let in_memory = stored.map(|message| message.id).min();
        if let Some(first) = in_memory {
            self.leave_to_rows(self.rows.map_or(first, |rows| rows.min(first)));
        }
    }

    /// The bytes of its messages in memory. One that is urgent is among a few.
    pub(crate) fn weigh(&self) -> usize {
        self.waiting.iter().chain(&self.arrivals).map(Message::weight).sum()
    }

    /// Forgets what is in memory of the messages that have rows: they are read again, in order, when they are wanted.
    pub(crate) fn spill(&mut self) {
        self.waiting.clear();
        self.rows = Some(MessageId::MIN);
        self.urgent.retain(|message| !message.stored);
        self.urgent_rows = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::Origin;
    use crate::id::InstanceId;
    use crate::store::records::Action;

    /// Nothing of an instance is left for the next one that gets its mailbox.
    #[test]
    fn a_cleared_mailbox_is_as_good_as_new() {
        let message = Message {
            stored: true,
            ..Message::new(
                MessageId::MIN,
                InstanceId::trusted("@a@k"),
                Action::Cancel { timer: "t".into() },
                Origin::of_stored(None),
            )
        };
        let mut mailbox = Mailbox {
            arrivals: vec![message.clone(); 100].into(),
            urgent: vec![message.clone()].into(),
            urgent_rows: true,
            waiting: vec![message].into(),
            rows: Some(MessageId::MIN),
            waiting_count: 3,
            uncounted: true,
            bytes: 9,
            block: Block::Held,
            ready: true,
            touched_in: 7,
            refused: true,
        };
        mailbox.clear(10);
        assert_eq!(format!("{mailbox:?}"), format!("{:?}", Mailbox::default()));
        assert!((10..100).contains(&mailbox.arrivals.capacity()));
    }

    /// A mailbox that waits takes about as much as its messages, whatever it held before.
    #[test]
    fn a_mailbox_that_waits_keeps_no_capacity() {
        let mut mailbox = Mailbox::default();
        for messages in [&mut mailbox.arrivals, &mut mailbox.waiting, &mut mailbox.urgent] {
            messages.reserve(1_000);
        }
        mailbox.give_back_capacity();
        for messages in [&mailbox.arrivals, &mailbox.waiting, &mailbox.urgent] {
            assert!(messages.capacity() <= 2 * KEPT_MESSAGES, "{}", messages.capacity());
        }
    }
}
