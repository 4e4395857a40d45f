//! The messages that wait for one instance.

use std::collections::VecDeque;

use crate::engine::core_step::CoreStep;
use crate::engine::message::Message;
use crate::error::Result;
use crate::id::{MessageId, PartitionId};

/// Number of messages for which every list of a mailbox may keep capacity.
const KEPT_MESSAGES: usize = 4;

/// The messages that wait for one instance, and the reason why they wait. A mailbox exists only while it has content.
///
/// Processing order: messages that bypass the queue, then `waiting`, then the rows from `rows` on, then `arrivals`.
/// While `rows` is set, arriving messages are stored only as rows, so none overtakes another. The same holds for
/// priority messages and `priority_rows`.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    /// Messages that were accepted and not examined yet.
    pub(crate) arrivals: VecDeque<Message>,
    /// Messages with rows that are also in memory, in order.
    pub(crate) waiting: VecDeque<Message>,
    /// Rows from this id on may exist in the store and are not in memory.
    pub(crate) rows: Option<MessageId>,
    /// Messages that bypass the queue, in order. A partially executed order of any kind stays in front of them.
    pub(crate) priority: VecDeque<Message>,
    /// True if rows of such messages may exist that are not in memory. They are few, and all of them are read at once.
    pub(crate) priority_rows: bool,
    /// Known number of waiting messages, in memory or not.
    pub(crate) waiting_count: usize,
    /// True if uncounted rows may exist.
    pub(crate) uncounted: bool,
    /// Size of its messages in memory in bytes: as of the end of its last turn, plus later arrivals.
    pub(crate) bytes: usize,
    /// The reason why the instance does not process its messages. `None` if it does.
    pub(crate) block: Option<BlockReason>,
    /// True if the instance is in the queue of ready instances.
    pub(crate) ready: bool,
    /// The step that last changed a row of this instance. Reads of its rows wait for the step after it.
    pub(crate) touched_in: u64,
    /// True if a client was refused because the queue was full.
    pub(crate) refused: bool,
}

/// The reason why an instance does not process its messages.
#[derive(Debug)]
pub(crate) enum BlockReason {
    /// An `async` operation runs.
    Running(Box<Message>),
    /// An `async` operation has exceeded its time limit, and its sender has received the error. The operation blocks
    /// its thread, so it is still running.
    Lingering(MessageId),
    /// The state does not decode.
    Quarantined(String),
    /// The operator opened the hub with this instance held.
    Held,
    /// The type of the entity is not registered.
    Unregistered,
    /// A client suspended the orchestration.
    Suspended,
    /// The code of the orchestration cannot continue.
    Stopped,
}

impl Mailbox {
    /// Returns `true` if an `async` operation is running, within its time limit or beyond it.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.block, Some(BlockReason::Running(_) | BlockReason::Lingering(_)))
    }

    /// Resets the mailbox. It keeps capacity for `kept` arrivals.
    pub(crate) fn clear(&mut self, kept: usize) {
        let Self {
            arrivals,
            waiting,
            rows,
            priority,
            priority_rows,
            waiting_count,
            uncounted,
            bytes,
            block,
            ready,
            touched_in,
            refused,
        } = self;
        for (messages, kept) in [(arrivals, kept), (waiting, KEPT_MESSAGES), (priority, KEPT_MESSAGES)] {
            messages.clear();
            messages.shrink_to(kept);
        }
        *rows = None;
        *block = None;
        (*waiting_count, *bytes, *touched_in) = (0, 0, 0);
        (*priority_rows, *uncounted, *ready, *refused) = (false, false, false, false);
    }

    /// Releases unneeded capacity while the mailbox waits. The memory budget counts only the messages themselves.
    pub(crate) fn give_back_capacity(&mut self) {
        for messages in [&mut self.arrivals, &mut self.waiting, &mut self.priority] {
            let enough = 2 * messages.len().max(KEPT_MESSAGES / 2);
            if messages.capacity() > 2 * enough {
                messages.shrink_to(enough);
            }
        }
    }

    /// Returns `true` if the mailbox can be dropped without losing information.
    pub(crate) fn is_idle(&self) -> bool {
        self.block.is_none()
            && self.arrivals.is_empty()
            && self.priority.is_empty()
            && !self.priority_rows
            && self.waiting.is_empty()
            && self.rows.is_none()
            && !self.refused
    }

    /// Returns `true` if a message that sets or cancels a timer is in memory.
    pub(crate) fn has_control(&self) -> bool {
        let mut messages = self.waiting.iter().chain(&self.arrivals);
        messages.any(Message::is_control)
    }

    /// Writes the row of a message for this instance. The reader of this step does not show it.
    pub(crate) fn give_row(
        &mut self,
        message: &mut Message,
        partition: PartitionId,
        step: &mut CoreStep,
    ) -> Result<()> {
        let (key, value) = message.row(partition)?;
        step.batch.insert(&key, &value);
        message.stored = true;
        self.touched_in = step.number;
        Ok(())
    }

    /// Returns an unprocessed message to the front.
    pub(crate) fn return_first(&mut self, message: Message) {
        if message.has_priority() {
            self.priority.push_front(message);
        } else if message.stored {
            self.waiting_count += 1;
            self.waiting.push_front(message);
        } else {
            self.arrivals.push_front(message);
        }
    }

    /// Accepts a message that has a row. The message stays in memory if there is room and all messages before it are in
    /// memory.
    pub(crate) fn park(&mut self, message: Message, in_memory: usize) {
        debug_assert!(message.stored);
        self.waiting_count += 1;
        match self.rows {
            None if self.waiting.len() < in_memory => self.waiting.push_back(message),
            Some(first) if first <= message.id => {}
            _ => self.leave_to_rows(message.id),
        }
    }

    /// Removes from memory every message from `id` on, and all arrivals with rows. A message that stayed in memory
    /// beside an unread row would be processed twice. A message may have a lower id than messages already in memory,
    /// because its delivery may have taken longer.
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

    /// Removes all queued messages with rows from memory. They are read again when needed.
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

    /// Returns the size of its messages in memory in bytes, without the priority messages, which are few.
    pub(crate) fn weigh(&self) -> usize {
        self.waiting.iter().chain(&self.arrivals).map(Message::weight).sum()
    }

    /// Removes all messages with rows from memory. They are read again in order when needed.
    pub(crate) fn spill(&mut self) {
        self.waiting.clear();
        self.rows = Some(MessageId::MIN);
        self.priority.retain(|message| !message.stored);
        self.priority_rows = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::Origin;
    use crate::id::InstanceId;
    use crate::model::Action;

    /// A recycled mailbox keeps no content of its previous instance.
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
            priority: vec![message.clone()].into(),
            priority_rows: true,
            waiting: vec![message].into(),
            rows: Some(MessageId::MIN),
            waiting_count: 3,
            uncounted: true,
            bytes: 9,
            block: Some(BlockReason::Held),
            ready: true,
            touched_in: 7,
            refused: true,
        };
        mailbox.clear(10);
        assert_eq!(format!("{mailbox:?}"), format!("{:?}", Mailbox::default()));
        assert!((10..100).contains(&mailbox.arrivals.capacity()));
    }

    /// A waiting mailbox uses about as much memory as its messages, regardless of its previous content.
    #[test]
    fn a_mailbox_that_waits_keeps_no_capacity() {
        let mut mailbox = Mailbox::default();
        for messages in [&mut mailbox.arrivals, &mut mailbox.waiting, &mut mailbox.priority] {
            messages.reserve(1_000);
        }
        mailbox.give_back_capacity();
        for messages in [&mailbox.arrivals, &mailbox.waiting, &mailbox.priority] {
            assert!(messages.capacity() <= 2 * KEPT_MESSAGES, "{}", messages.capacity());
        }
    }
}
