//! Messages that cannot be processed now. They wait as rows, or their senders receive the reason.

use crate::engine::code::OperationMode;
use crate::engine::ctx::Ctx;
use crate::engine::dead_letters::bury;
use crate::engine::mailbox::{BlockReason, Mailbox};
use crate::engine::mailboxes::Mailboxes;
use crate::engine::message::{Message, Response};
use crate::engine::requests::{remember_waiting, settle_repeated};
use crate::engine::turn::EntityTurn;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::model::Action;

impl EntityTurn<'_> {
    /// Lets arrived messages wait while an `async` operation runs. Reads of clients do not wait, because they see the
    /// committed state.
    pub(super) fn wait_running(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        while let Some(message) = self.mailbox.arrivals.pop_front() {
            if self.is_read_of_client(&message) {
                self.operate(message, ctx)?;
            } else {
                admit(self.id, &mut self.mailbox, message, ctx)?;
            }
        }
        Ok(())
    }
}

/// Lets arrived messages wait for a blocked instance. Calls of clients fail immediately, because the duration of the
/// block is unknown.
pub(super) fn wait_blocked(id: &InstanceId, mailbox: &mut Mailbox, ctx: &mut Ctx<'_>) -> Result<()> {
    if mailbox.is_running() {
        // Reads are impossible without the code of the entity. The end of the operation makes the entity run again.
        return Ok(());
    }
    while let Some(message) = mailbox.arrivals.pop_front() {
        let is_client = message.client().is_some_and(|client| !client.must_store);
        // A dead letter cannot hold a message that sets or cancels a timer, so such a message waits even if the queue
        // is full. The call of an orchestration also waits, as long as its caller exists.
        let waits = message.stored
            || !message.is_operation()
            || message.step().is_some()
            || !(message.is_call() || mailbox.is_queue_full(id, ctx)?);
        if waits {
            admit(id, mailbox, message, ctx)?;
        } else if is_client {
            // A retry may request an outcome that is already known.
            if settle_repeated(&message, ctx)? {
                continue;
            }
            if let Some(token) = message.token() {
                ctx.step.settle(
                    token,
                    Response::Failed(Box::new(blocked(id, mailbox.block.as_ref()).into())),
                );
            }
        } else {
            let reason = format!("its queue is full: {}", blocked(id, mailbox.block.as_ref()));
            bury(&message, &reason, ctx)?;
        }
    }
    Ok(())
}

/// Lets one message wait, or refuses it because the queue is full.
pub(super) fn admit(id: &InstanceId, mailbox: &mut Mailbox, message: Message, ctx: &mut Ctx<'_>) -> Result<()> {
    if message.stored {
        mailbox.park(message, kept_in_memory(mailbox, ctx));
        return Ok(());
    }
    if settle_repeated(&message, ctx)? {
        return Ok(());
    }
    if let Some(client) = message.client().filter(|client| !client.must_store)
        && mailbox.is_queue_full(id, ctx)?
    {
        let (refuse, token) = (client.refuse_when_full, client.token);
        let settled = if refuse {
            overloaded(id, ctx.settings.limits.queue)
        } else {
            mailbox.refused = true;
            Response::Full {
                message: Box::new(message),
                door: (),
            }
        };
        if let Some(token) = token {
            ctx.step.settle(token, settled);
        }
        return Ok(());
    }
    let message = save(id, mailbox, message, ctx)?;
    mailbox.park(message, kept_in_memory(mailbox, ctx));
    Ok(())
}

/// Returns the number of waiting messages that an instance may keep in memory.
pub(super) fn kept_in_memory(mailbox: &Mailbox, ctx: &Ctx<'_>) -> usize {
    if ctx.memory.is_full(mailbox.bytes) {
        0
    } else {
        ctx.settings.limits.queue_in_memory
    }
}

/// Writes the row of a message, if it has none. A client that waits only for durability receives its reply.
pub(super) fn save(id: &InstanceId, mailbox: &mut Mailbox, mut message: Message, ctx: &mut Ctx<'_>) -> Result<Message> {
    if message.stored {
        return Ok(message);
    }
    mailbox.give_row(&mut message, ctx.settings.partition_of(id), ctx.step)?;
    remember_waiting(&message, ctx)?;
    // The row outlives the client. Therefore the message no longer names the client, and neither do its copies.
    if let Some(token) = message.take_token() {
        if message.is_call() {
            ctx.callers.add(&message, token);
            ctx.step.stored_calls.push(token);
        } else {
            ctx.step.settle(token, Response::Accepted);
        }
    }
    Ok(message)
}

impl EntityTurn<'_> {
    /// Returns `true` if a message is a client's call of a read-only operation.
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

/// Writes rows for the messages that still wait behind locks and get no turn in this step.
pub(super) fn admit_behind_locks(mailboxes: &mut Mailboxes, ctx: &mut Ctx<'_>) -> Result<()> {
    for id in std::mem::take(&mut ctx.step.behind_locks) {
        if !ctx.locks.is_locked(&id) {
            continue;
        }
        let Some(mut mailbox) = mailboxes.take(&id, ctx.memory) else {
            continue;
        };
        while let Some(message) = mailbox.arrivals.pop_front() {
            admit(&id, &mut mailbox, message, ctx)?;
        }
        if mailbox.ready || !mailbox.is_idle() {
            mailboxes.put(&id, mailbox, ctx.memory);
        } else {
            mailboxes.recycle(mailbox, ctx.settings);
        }
    }
    Ok(())
}

/// Returns the error for calls of a blocked instance.
pub(super) fn blocked(id: &InstanceId, block: Option<&BlockReason>) -> Error {
    match block {
        Some(BlockReason::Quarantined(reason)) => Error::new(
            ErrorKind::Quarantined,
            format!("`{id}` is quarantined: {reason}; open the hub with a build that reads its state, or release it"),
        ),
        Some(BlockReason::Unregistered) => Error::new(
            ErrorKind::Unregistered,
            format!("the type of `{id}` is not registered; register it with the builder and open the hub again"),
        ),
        _ => Error::new(
            ErrorKind::Quarantined,
            format!("`{id}` has been held since the hub was opened; release it, or open the hub without `.hold`"),
        ),
    }
}

fn overloaded(id: &InstanceId, queue: usize) -> Response {
    Response::runtime(
        ErrorKind::Overloaded,
        format!("{queue} messages wait for `{id}`; retry later, or send without `refuse_when_full`"),
    )
}
