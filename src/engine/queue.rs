//! Which of its messages an instance looks at next, and how a message leaves its queue.

use std::ops::ControlFlow;

use crate::engine::ctx::Ctx;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::message::Message;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
use crate::store::{PageBounds, keys};

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

impl Mailbox {
    /// Takes the next message of an instance: those that pass the queue first, then the others, each in their order.
    pub(super) fn next_message(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<Next> {
        // Looked at first: most often there are none, and a message that is handed through costs its size.
        if self.urgent.is_empty() && !self.urgent_rows {
            return self.next_in_line(id, ctx);
        }
        match self.next_urgent(id, ctx)? {
            Next::Nothing => self.next_in_line(id, ctx),
            next => Ok(next),
        }
    }

    /// Takes the next message of an instance that passes the queue.
    pub(super) fn next_urgent(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<Next> {
        if !self.read_urgent(id, ctx)? {
            return Ok(Next::Later);
        }
        Ok(self.urgent.pop_front().map_or(Next::Nothing, Next::Message))
    }

    /// Takes the next message of an instance that waits in line. Nobody may call it before [`next_urgent`](Self::next_urgent)
    /// has said that there is nothing.
    pub(super) fn next_in_line(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<Next> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                self.waiting_count = self.waiting_count.saturating_sub(1);
                return Ok(Next::Message(message));
            }
            let Some(first) = self.rows else {
                return Ok(self.arrivals.pop_front().map_or(Next::Nothing, Next::Message));
            };
            if self.touched_in == ctx.step.number {
                return Ok(Next::Later);
            }
            self.read_rows(id, first, ctx)?;
        }
    }

    /// Whether as many messages wait for an instance as may before its clients have to. Counts the rows that were not
    /// counted since the hub opened, where this step has not changed any.
    pub(super) fn is_queue_full(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<bool> {
        let limit = ctx.settings.limits.queue;
        if self.uncounted && self.waiting_count < limit && self.touched_in != ctx.step.number {
            // Beyond the limit, so that the rest is not counted again before many of these are done with.
            let most = limit.saturating_mul(2);
            let mut rows = 0;
            if let Some(first) = self.rows {
                let range = keys::messages_of(ctx.settings.partition_of(id), id, first);
                ctx.reader.visit(range, &mut |_, _| {
                    rows += 1;
                    if rows < most {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                })?;
            }
            self.waiting_count = self.waiting.len() + rows;
            self.uncounted = rows == most;
        }
        Ok(self.waiting_count >= limit)
    }

    /// Notes that a message is done with: its row, if it has one, goes with this step.
    pub(super) fn consume(&mut self, message: &Message, ctx: &mut Ctx<'_>) {
        if message.stored {
            ctx.step
                .batch
                .delete(&message.key(ctx.settings.partition_of(&message.target)));
            self.touched_in = ctx.step.number;
        }
    }

    /// Brings all messages that pass the queue into memory. Says whether they are there now; if not, they will be in the next
    /// step.
    pub(super) fn read_urgent(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<bool> {
        if !self.urgent_rows {
            return Ok(true);
        }
        if self.touched_in == ctx.step.number {
            return Ok(false);
        }
        let rows = ctx
            .reader
            .scan(keys::urgents_of(ctx.settings.partition_of(id), id), usize::MAX)?;
        // What is in memory came after every row, since nothing with a row is kept while rows are unread.
        for (key, value) in rows.iter().rev() {
            let message = Message::from_row(id, key, value)?;
            let runs = matches!(&self.block, Block::Running(running) if running.id == message.id);
            if !runs {
                self.urgent.push_front(message);
            }
        }
        self.urgent_rows = false;
        Ok(true)
    }

    /// Removes the first message that is `wanted` from the line in which it waits.
    pub(super) fn withdraw(
        &mut self,
        id: &InstanceId,
        wanted: impl Fn(&Message) -> bool,
        ctx: &mut Ctx<'_>,
    ) -> Result<Withdrawn> {
        if let Some(at) = self.waiting.iter().position(&wanted) {
            // It may have got its row in this very step, and no commit makes a row that it consumes.
            if self.touched_in == ctx.step.number {
                return Ok(Withdrawn::Later);
            }
            self.waiting_count = self.waiting_count.saturating_sub(1);
            let Some(message) = self.waiting.remove(at) else {
                return Ok(Withdrawn::No);
            };
            self.consume(&message, ctx);
            return Ok(Withdrawn::Yes(Box::new(message)));
        }
        if let Some(at) = self.arrivals.iter().position(&wanted) {
            let Some(message) = self.arrivals.remove(at) else {
                return Ok(Withdrawn::No);
            };
            self.consume(&message, ctx);
            return Ok(Withdrawn::Yes(Box::new(message)));
        }
        let Some(mut first) = self.rows else {
            return Ok(Withdrawn::No);
        };
        if self.touched_in == ctx.step.number {
            return Ok(Withdrawn::Later);
        }
        loop {
            let range = keys::messages_of(ctx.settings.partition_of(id), id, first);
            let page = ctx.reader.page(range, ctx.settings.limits.page())?;
            for (key, value) in &page.rows {
                let message = Message::from_row(id, key, value)?;
                first = message.id.next();
                if wanted(&message) {
                    self.waiting_count = self.waiting_count.saturating_sub(1);
                    self.consume(&message, ctx);
                    return Ok(Withdrawn::Yes(Box::new(message)));
                }
            }
            if !page.full {
                return Ok(Withdrawn::No);
            }
        }
    }

    /// Brings the next rows of an instance into memory, fewer where there is little memory left.
    fn read_rows(&mut self, id: &InstanceId, first: MessageId, ctx: &Ctx<'_>) -> Result<()> {
        let range = keys::messages_of(ctx.settings.partition_of(id), id, first);
        let bounds = PageBounds {
            bytes: ctx
                .memory
                .left()
                .clamp(LEAST_BYTES, ctx.settings.limits.page_bytes.max(LEAST_BYTES)),
            ..ctx.settings.limits.page()
        };
        let page = ctx.reader.page(range, bounds)?;
        for (key, value) in &page.rows {
            self.waiting.push_back(Message::from_row(id, key, value)?);
        }
        self.rows = match self.waiting.back() {
            Some(last) if page.full => Some(last.id.next()),
            _ => None,
        };
        self.waiting_count = self.waiting_count.max(self.waiting.len());
        if self.rows.is_none() {
            self.waiting_count = self.waiting.len();
            self.uncounted = false;
        }
        Ok(())
    }
}
