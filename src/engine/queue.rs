//! Which of its messages an instance looks at next, and how a message leaves its queue.

use std::ops::ControlFlow;

use crate::engine::core::Core;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::message::Message;
use crate::engine::step::Step;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
use crate::store::{PageBounds, Reader, keys};

/// How many bytes of rows one read brings, however little memory is left.
const LEAST_BYTES: usize = 64 << 10;

/// What an instance finds in its queue.
#[derive(Debug)]
pub(super) enum Next {
    Message(Message),
    /// There may be rows, and this step changed some of them, so that they can be read in the next one only.
    Later,
    Nothing,
}

/// What became of the search for a request that waits in line.
pub(super) enum Withdrawn {
    Yes(Box<Message>),
    /// It does not wait here.
    No,
    /// This step changed rows of the entity, and the next one will know.
    Later,
}

impl Core {
    /// Takes the next message of an instance: those that pass the queue first, then the others, each in their order.
    pub(super) fn next_message(
        &self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        step: &Step,
        reader: &dyn Reader,
    ) -> Result<Next> {
        // Looked at first: most often there are none, and a message that is handed through costs its size.
        if mailbox.urgent.is_empty() && !mailbox.urgent_rows {
            return self.next_in_line(id, mailbox, step, reader);
        }
        match self.next_urgent(id, mailbox, step, reader)? {
            Next::Nothing => self.next_in_line(id, mailbox, step, reader),
            next => Ok(next),
        }
    }

    /// Takes the next message of an instance that passes the queue.
    pub(super) fn next_urgent(
        &self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        step: &Step,
        reader: &dyn Reader,
    ) -> Result<Next> {
        if !self.read_urgent(id, mailbox, step, reader)? {
            return Ok(Next::Later);
        }
        Ok(mailbox.urgent.pop_front().map_or(Next::Nothing, Next::Message))
    }

    /// Takes the next message of an instance that waits in line. Nobody may call it before [`next_urgent`](Self::next_urgent)
    /// has said that there is nothing.
    pub(super) fn next_in_line(
        &self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        step: &Step,
        reader: &dyn Reader,
    ) -> Result<Next> {
        loop {
            if let Some(message) = mailbox.waiting.pop_front() {
                mailbox.waiting_count = mailbox.waiting_count.saturating_sub(1);
                return Ok(Next::Message(message));
            }
            let Some(first) = mailbox.rows else {
                return Ok(mailbox.arrivals.pop_front().map_or(Next::Nothing, Next::Message));
            };
            if mailbox.touched_in == step.number {
                return Ok(Next::Later);
            }
            self.read_rows(id, mailbox, first, reader)?;
        }
    }

    /// Whether as many messages wait for an instance as may before its clients have to. Counts the rows that were not
    /// counted since the hub opened, where this step has not changed any.
    pub(super) fn is_queue_full(
        &self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        step: &Step,
        reader: &dyn Reader,
    ) -> Result<bool> {
        let limit = self.limits.queue;
        if mailbox.uncounted && mailbox.waiting_count < limit && mailbox.touched_in != step.number {
            // Beyond the limit, so that the rest is not counted again before many of these are done with.
            let most = limit.saturating_mul(2);
            let mut rows = 0;
            if let Some(first) = mailbox.rows {
                let range = keys::messages_of(self.partition_of(id), id, first);
                reader.visit(range, &mut |_, _| {
                    rows += 1;
                    if rows < most {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                })?;
            }
            mailbox.waiting_count = mailbox.waiting.len() + rows;
            mailbox.uncounted = rows == most;
        }
        Ok(mailbox.waiting_count >= limit)
    }

    /// Notes that a message is done with: its row, if it has one, goes with this step.
    pub(super) fn consume(&self, message: &Message, mailbox: &mut Mailbox, step: &mut Step) {
        if message.stored {
            step.batch.delete(&message.key(self.partition_of(&message.target)));
            mailbox.touched_in = step.number;
        }
    }

    /// Brings all messages that pass the queue into memory. Says whether they are there now; if not, they will be in the next
    /// step.
    pub(super) fn read_urgent(
        &self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        step: &Step,
        reader: &dyn Reader,
    ) -> Result<bool> {
        if !mailbox.urgent_rows {
            return Ok(true);
        }
        if mailbox.touched_in == step.number {
            return Ok(false);
        }
        let rows = reader.scan(keys::urgents_of(self.partition_of(id), id), usize::MAX)?;
        // What is in memory came after every row, since nothing with a row is kept while rows are unread.
        for (key, value) in rows.iter().rev() {
            let message = Message::from_row(id, key, value)?;
            let runs = matches!(&mailbox.block, Block::Running(running) if running.id == message.id);
            if !runs {
                mailbox.urgent.push_front(message);
            }
        }
        mailbox.urgent_rows = false;
        Ok(true)
    }

    /// Removes the first message that is `wanted` from the line in which it waits.
    pub(super) fn withdraw(
        &self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        wanted: impl Fn(&Message) -> bool,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Withdrawn> {
        if let Some(at) = mailbox.waiting.iter().position(&wanted) {
            // It may have got its row in this very step, and no commit makes a row that it consumes.
            if mailbox.touched_in == step.number {
                return Ok(Withdrawn::Later);
            }
            mailbox.waiting_count = mailbox.waiting_count.saturating_sub(1);
            let Some(message) = mailbox.waiting.remove(at) else {
                return Ok(Withdrawn::No);
            };
            self.consume(&message, mailbox, step);
            return Ok(Withdrawn::Yes(Box::new(message)));
        }
        if let Some(at) = mailbox.arrivals.iter().position(&wanted) {
            let Some(message) = mailbox.arrivals.remove(at) else {
                return Ok(Withdrawn::No);
            };
            self.consume(&message, mailbox, step);
            return Ok(Withdrawn::Yes(Box::new(message)));
        }
        let Some(mut first) = mailbox.rows else {
            return Ok(Withdrawn::No);
        };
        if mailbox.touched_in == step.number {
            return Ok(Withdrawn::Later);
        }
        loop {
            let range = keys::messages_of(self.partition_of(id), id, first);
            let page = reader.page(range, self.limits.page())?;
            for (key, value) in &page.rows {
                let message = Message::from_row(id, key, value)?;
                first = message.id.next();
                if wanted(&message) {
                    mailbox.waiting_count = mailbox.waiting_count.saturating_sub(1);
                    self.consume(&message, mailbox, step);
                    return Ok(Withdrawn::Yes(Box::new(message)));
                }
            }
            if !page.full {
                return Ok(Withdrawn::No);
            }
        }
    }

    /// Brings the next rows of an instance into memory, fewer where there is little memory left.
    fn read_rows(&self, id: &InstanceId, mailbox: &mut Mailbox, first: MessageId, reader: &dyn Reader) -> Result<()> {
        let range = keys::messages_of(self.partition_of(id), id, first);
        let bounds = PageBounds {
            bytes: self
                .memory_left()
                .clamp(LEAST_BYTES, self.limits.page_bytes.max(LEAST_BYTES)),
            ..self.limits.page()
        };
        let page = reader.page(range, bounds)?;
        for (key, value) in &page.rows {
            mailbox.waiting.push_back(Message::from_row(id, key, value)?);
        }
        mailbox.rows = match mailbox.waiting.back() {
            Some(last) if page.full => Some(last.id.next()),
            _ => None,
        };
        mailbox.waiting_count = mailbox.waiting_count.max(mailbox.waiting.len());
        if mailbox.rows.is_none() {
            mailbox.waiting_count = mailbox.waiting.len();
            mailbox.uncounted = false;
        }
        Ok(())
    }
}
