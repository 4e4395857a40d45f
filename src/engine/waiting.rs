//! Messages that cannot be processed now: they become rows and wait, or their senders hear why not.

use crate::engine::code::OperationMode;
use crate::engine::core::Core;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::message::{Message, Settled};
use crate::engine::step::Step;
use crate::engine::turn::Turn;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::store::Reader;
use crate::store::records::Action;

impl Core {
    /// Lets what arrived wait while an `async` operation runs. Reads need not: they see the committed state.
    pub(super) fn wait_running(&mut self, turn: &mut Turn<'_>, step: &mut Step, reader: &dyn Reader) -> Result<()> {
        while let Some(message) = turn.mailbox.arrivals.pop_front() {
            if turn.is_read_of_client(&message) {
                self.operate(turn, message, step, reader)?;
            } else {
                self.admit(turn.id, &mut turn.mailbox, message, step, reader)?;
            }
        }
        Ok(())
    }

    /// Lets what arrived wait for a blocked instance. Calls fail at once, because nobody knows how long it takes.
    pub(super) fn wait_blocked(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        if mailbox.block.is_running() {
            // Without its code in hand nothing can be read from it; the end of the operation makes it run again.
            return Ok(());
        }
        while let Some(message) = mailbox.arrivals.pop_front() {
            let is_client = message.client().is_some_and(|client| !client.must_store);
            // No dead letter could hold what sets or cancels a timer, so that it waits even in a full queue. So does the
            // call of an orchestration, which lasts as long as its caller.
            let waits = message.stored
                || !message.is_operation()
                || message.step().is_some()
                || !(message.is_call() || self.is_queue_full(id, mailbox, step, reader)?);
            if waits {
                self.admit(id, mailbox, message, step, reader)?;
            } else if is_client {
                // A retry may ask for what is known already.
                if self.settle_repeated(&message, step, reader)? {
                    continue;
                }
                if let Some(token) = message.token() {
                    step.settle(token, Settled::Failed(Box::new(blocked(id, &mailbox.block).into())));
                }
            } else {
                let reason = format!("{} and its queue is full", blocked(id, &mailbox.block));
                self.bury(&message, &reason, step)?;
            }
        }
        Ok(())
    }

    /// Lets one message wait, or tells its client that the queue is full.
    pub(super) fn admit(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        if message.stored {
            mailbox.park(message, self.kept_in_memory(mailbox));
            return Ok(());
        }
        if self.settle_repeated(&message, step, reader)? {
            return Ok(());
        }
        if let Some(client) = message.client().filter(|client| !client.must_store)
            && self.is_queue_full(id, mailbox, step, reader)?
        {
            let (refuse, token) = (client.refuse_when_full, client.token);
            let settled = if refuse {
                overloaded(id, self.limits.queue)
            } else {
                mailbox.refused = true;
                Settled::Full(Box::new(message))
            };
            if let Some(token) = token {
                step.settle(token, settled);
            }
            return Ok(());
        }
        let message = self.save(id, mailbox, message, step, reader)?;
        mailbox.park(message, self.kept_in_memory(mailbox));
        Ok(())
    }

    /// How many of its waiting messages an instance may have in memory.
    pub(super) fn kept_in_memory(&self, mailbox: &Mailbox) -> usize {
        if self.is_memory_full(mailbox.bytes) {
            0
        } else {
            self.limits.queue_in_memory
        }
    }

    /// Gives a message its row, if it has none, and lets a client that only wants it durable go.
    pub(super) fn save(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        mut message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Message> {
        if message.stored {
            return Ok(message);
        }
        mailbox.give_row(&mut message, self.partition_of(id), step)?;
        self.remember_waiting(&message, step, reader)?;
        // The row stays, the client may not: so the message does not name it any more, whatever becomes of its copies.
        if let Some(token) = message.take_token() {
            if message.is_call() {
                self.callers.insert(message.id, (token, id.clone()));
                step.stored_calls.push(token);
            } else {
                step.settle(token, Settled::Accepted);
            }
        }
        Ok(message)
    }
}

impl Turn<'_> {
    /// Whether a message is a client's call of an operation that only reads.
    pub(super) fn is_read_of_client(&self, message: &Message) -> bool {
        let Action::Operation { operation, .. } = &message.action else {
            return false;
        };
        let is_read = || {
            self.code
                .find(operation)
                .is_some_and(|spec| spec.mode == OperationMode::Read)
        };
        message.is_call() && !message.stored && is_read()
    }
}

/// Why a blocked instance takes no calls.
pub(super) fn blocked(id: &InstanceId, block: &Block) -> Error {
    match block {
        Block::Quarantined(reason) => Error::new(
            ErrorKind::Quarantined,
            format!("`{id}` is quarantined: {reason}; open with a build that reads its state, or resume it"),
        ),
        Block::Unregistered => Error::new(
            ErrorKind::Unregistered,
            format!("nobody registered the type of `{id}`; register it with the builder and open again"),
        ),
        _ => Error::new(
            ErrorKind::Quarantined,
            format!("`{id}` is held since this hub was opened; resume it, or open without `.hold`"),
        ),
    }
}

fn overloaded(id: &InstanceId, queue: usize) -> Settled {
    Settled::runtime(
        ErrorKind::Overloaded,
        format!("{queue} messages wait for `{id}`; try later, or use the form that waits"),
    )
}
