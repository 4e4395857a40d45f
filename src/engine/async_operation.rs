//! `async` operations. An operation starts when the message that requested it is durable, and its end is a separate
//! input.

use crate::engine::call_result::{CallResult, described, lingers, panicked, timed_out};
use crate::engine::code::{AsyncFinished, AsyncOperation};
use crate::engine::ctx::Ctx;
use crate::engine::mailbox::{BlockReason, Mailbox};
use crate::engine::mailboxes::Mailboxes;
use crate::engine::message::{AsyncEnded, Effect, Message, Output};
use crate::engine::operation::scope;
use crate::engine::scope::Scope;
use crate::engine::states::Entity;
use crate::engine::turn::{EntityTurn, load_entity};
use crate::engine::waiting::save;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};

/// Processes the end of an `async` operation. An operation that lingers beyond its time limit fails now, and its entity
/// runs no other operation until the lingering one has ended.
pub(super) fn end_async(
    instance: &InstanceId,
    id: MessageId,
    ended: AsyncEnded,
    mailboxes: &mut Mailboxes,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    let is_running =
        |mailbox: &Mailbox| matches!(&mailbox.block, Some(BlockReason::Running(message)) if message.id == id);
    let Some(mut mailbox) = mailboxes.take(instance, ctx.memory) else {
        return Ok(());
    };
    if matches!(mailbox.block, Some(BlockReason::Lingering(lingering)) if lingering == id) {
        mailbox.block = None;
        mailboxes.put(instance, mailbox, ctx.memory);
        mailboxes.make_ready(instance, ctx.settings, ctx.partitions);
        return Ok(());
    }
    let code = ctx.settings.registry.entity(instance.entity_name()).cloned();
    let (true, Some(code)) = (is_running(&mailbox), code) else {
        mailboxes.put(instance, mailbox, ctx.memory);
        return Ok(());
    };
    let Some(BlockReason::Running(message)) = mailbox.block.take() else {
        unreachable!("the operation runs");
    };
    let entity = match ctx.states.take(instance) {
        Some(entity) => entity,
        None => load_entity(instance, &code, ctx)?.unwrap_or_else(|_| Entity::unreadable()),
    };
    let mut turn = EntityTurn {
        id: instance,
        code,
        entity,
        mailbox,
    };
    ctx.step.trace = ctx.trace_of_operation(&message);
    let scope = scope(instance, &message, ctx);
    let outcome = match ended {
        AsyncEnded::Finished(finished) => {
            let outcome = turn.keep_finished(finished, &scope, ctx);
            if outcome.is_ok() {
                turn.note_audit(&scope.operation, &message, ctx)?;
            }
            outcome
        }
        AsyncEnded::Panicked(text) => Err(panicked(&scope, &text)),
        AsyncEnded::TimedOut => Err(timed_out(&scope, ctx.settings.limits.async_timeout)),
        AsyncEnded::Lingers => {
            turn.mailbox.block = Some(BlockReason::Lingering(id));
            let (entity, operation) = (&scope.entity, &*scope.operation);
            tracing::warn!(%entity, operation, "an `async` operation blocks its thread beyond its time limit");
            Err(lingers(&scope, ctx.settings.limits.async_timeout))
        }
    };
    turn.settle(*message, outcome, ctx)?;
    if turn.entity.is_readable() {
        turn.entity.weigh(&ctx.step.encodings);
        ctx.states.put(instance, turn.entity);
    } else {
        ctx.states.remove(instance);
    }
    mailboxes.put(instance, turn.mailbox, ctx.memory);
    ctx.step.trace = None;
    mailboxes.route_outbound(ctx)?;
    mailboxes.make_ready(instance, ctx.settings, ctx.partitions);
    Ok(())
}

impl EntityTurn<'_> {
    /// Starts an `async` operation as soon as its message and the state of the entity are durable.
    pub(super) fn begin_async(&mut self, message: Message, operation: AsyncOperation, ctx: &mut Ctx<'_>) -> Result<()> {
        let message = save(self.id, &mut self.mailbox, message, ctx)?;
        ctx.step.outputs.push(Output::Effect(Effect::StartOperation {
            instance: self.id.clone(),
            message: message.id,
            operation,
        }));
        self.mailbox.block = Some(BlockReason::Running(Box::new(message)));
        Ok(())
    }

    /// Replaces the state with the changed copy of an `async` operation, if the operation succeeded.
    fn keep_finished(&mut self, finished: AsyncFinished, scope: &Scope, ctx: &mut Ctx<'_>) -> CallResult {
        let answer = described(Ok(finished.outcome), scope)?;
        let before = self.entity.object.replace(finished.object);
        let outcome = self.keep(finished.outbox, answer, scope, ctx);
        if outcome.is_err() {
            self.entity.object = before;
        }
        outcome
    }
}
