//! The order in which an instance takes messages from its queue, and their removal.

use std::ops::ControlFlow;

use crate::engine::ctx::Ctx;
use crate::engine::mailbox::{BlockReason, Mailbox};
use crate::engine::message::Message;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
use crate::planted::{self, Fault};
use crate::schema;
use crate::store::PageBounds;

/// Minimum size of one read of rows in bytes, even if less memory is left.
const LEAST_BYTES: usize = 64 << 10;

/// The result of looking for the next message.
#[derive(Debug)]
pub(super) enum Next {
    Message(Message),
    /// Rows may exist, but this step changed some of them, so only the next step can read them.
    Later,
    Nothing,
}

/// The result of searching for a waiting request.
pub(super) enum Withdrawn {
    Yes(Box<Message>),
    /// The request does not wait here.
    No,
    /// This step changed rows of the entity, so only the next step can search them.
    Later,
}

impl Mailbox {
    /// Takes the next message of an instance: first the messages that bypass the queue, then the others, each in order.
    pub(super) fn next_message(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<Next> {
        // Checked first for speed. There are usually no priority messages, and passing a message through costs its
        // size.
        if self.priority.is_empty() && !self.priority_rows {
            return self.next_in_line(id, ctx);
        }
        match self.next_priority(id, ctx)? {
            Next::Nothing => self.next_in_line(id, ctx),
            next => Ok(next),
        }
    }

    /// Takes the next message that bypasses the queue.
    pub(super) fn next_priority(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<Next> {
        if !self.read_priority(id, ctx)? {
            return Ok(Next::Later);
        }
        Ok(self.priority.pop_front().map_or(Next::Nothing, Next::Message))
    }

    /// Takes the next message from the queue. The caller must first have received [`Next::Nothing`] from
    /// [`next_priority`](Self::next_priority).
    pub(super) fn next_in_line(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<Next> {
        loop {
            if planted::is(Fault::ReorderMessages) && self.waiting.len() > 1 {
                self.waiting.swap(0, 1);
            }
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

    /// Returns `true` if the queue has reached the limit at which clients have to wait. Rows that were not counted
    /// since the open are counted now, unless this step has changed any.
    pub(super) fn is_queue_full(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<bool> {
        let limit = ctx.settings.limits.queue;
        if self.uncounted && self.waiting_count < limit && self.touched_in != ctx.step.number {
            // The count goes beyond the limit, so the rest is not counted again until many of these messages are
            // processed.
            let most = limit.saturating_mul(2);
            let mut rows = 0;
            if let Some(first) = self.rows {
                let range = schema::message::of(ctx.settings.partition_of(id), id, first);
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

    /// Marks a message as processed. This step deletes its row, if it has one.
    pub(super) fn consume(&mut self, message: &Message, ctx: &mut Ctx<'_>) {
        if message.stored {
            ctx.step
                .batch
                .delete(&message.key(ctx.settings.partition_of(&message.target)));
            self.touched_in = ctx.step.number;
        }
    }

    /// Reads all messages that bypass the queue into memory. Returns `false` if this is possible only in the next step.
    pub(super) fn read_priority(&mut self, id: &InstanceId, ctx: &Ctx<'_>) -> Result<bool> {
        if !self.priority_rows {
            return Ok(true);
        }
        if self.touched_in == ctx.step.number {
            return Ok(false);
        }
        let rows = ctx
            .reader
            .scan(schema::priority::of(ctx.settings.partition_of(id), id), usize::MAX)?;
        // Messages in memory are newer than all rows, because no message with a row is kept in memory while rows are
        // unread.
        for (key, value) in rows.iter().rev() {
            let message = Message::from_row(id, key, value)?;
            let runs = matches!(&self.block, Some(BlockReason::Running(running)) if running.id == message.id);
            if !runs {
                self.priority.push_front(message);
            }
        }
        self.priority_rows = false;
        Ok(true)
    }

    /// Removes the first `wanted` message from the queue.
    pub(super) fn withdraw(
        &mut self,
        id: &InstanceId,
        wanted: impl Fn(&Message) -> bool,
        ctx: &mut Ctx<'_>,
    ) -> Result<Withdrawn> {
        if let Some(at) = self.waiting.iter().position(&wanted) {
            // This step may have written its row, and no commit both writes and consumes a row.
            if self.touched_in == ctx.step.number {
                return Ok(Withdrawn::Later);
            }
            self.waiting_count = self.waiting_count.saturating_sub(1);
            let message = self.waiting.remove(at).expect("it was found there");
            self.consume(&message, ctx);
            return Ok(Withdrawn::Yes(Box::new(message)));
        }
        if let Some(at) = self.arrivals.iter().position(&wanted) {
            let message = self.arrivals.remove(at).expect("it was found there");
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
            let range = schema::message::of(ctx.settings.partition_of(id), id, first);
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

    /// Reads the next rows of an instance into memory, fewer if little memory is left.
    fn read_rows(&mut self, id: &InstanceId, first: MessageId, ctx: &Ctx<'_>) -> Result<()> {
        let range = schema::message::of(ctx.settings.partition_of(id), id, first);
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
