//! An `async` operation: it begins when what asked for it is durable, and ends as a message of its own.

use crate::engine::code::{AsyncFinished, AsyncOperation};
use crate::engine::core::Core;
use crate::engine::mailbox::{Block, Mailbox};
use crate::engine::message::{AsyncEnded, Message, Output};
use crate::engine::outcome::{Outcome, described, lingers, panicked, timed_out};
use crate::engine::scope::Scope;
use crate::engine::states::Entity;
use crate::engine::step::Step;
use crate::engine::turn::Turn;
use crate::error::Result;
use crate::id::{InstanceId, MessageId};
use crate::store::Reader;

impl Core {
    /// Lets an `async` operation begin as soon as its message and the entity's state are durable.
    pub(super) fn begin_async(
        &mut self,
        turn: &mut Turn<'_>,
        message: Message,
        operation: AsyncOperation,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let message = self.save(turn.id, &mut turn.mailbox, message, step, reader)?;
        step.outputs.push(Output::Start {
            instance: turn.id.clone(),
            message: message.id,
            operation,
        });
        turn.mailbox.block = Block::Running(Box::new(message));
        Ok(())
    }

    /// Takes in the end of an `async` operation. One that lingers beyond its time fails now; its entity takes no other until
    /// it ends once more.
    pub(super) fn end_async(
        &mut self,
        instance: &InstanceId,
        id: MessageId,
        ended: AsyncEnded,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let is_running = |mailbox: &Mailbox| matches!(&mailbox.block, Block::Running(message) if message.id == id);
        let Some(mut mailbox) = self.take_mailbox(instance) else {
            return Ok(());
        };
        if matches!(mailbox.block, Block::Lingering(lingering) if lingering == id) {
            mailbox.block = Block::Open;
            self.put_mailbox(instance, mailbox);
            self.make_ready(instance);
            return Ok(());
        }
        let code = self.registry.entity(instance.entity_name()).cloned();
        let (true, Some(code)) = (is_running(&mailbox), code) else {
            self.put_mailbox(instance, mailbox);
            return Ok(());
        };
        let Block::Running(message) = std::mem::take(&mut mailbox.block) else {
            return Ok(());
        };
        let entity = match self.states.take(instance) {
            Some(entity) => entity,
            None => self
                .load_entity(instance, &code, step, reader)?
                .unwrap_or_else(|_| Entity::unreadable()),
        };
        let mut turn = Turn {
            id: instance,
            code,
            entity,
            mailbox,
        };
        step.trace.clone_from(&message.trace);
        let scope = self.scope(instance, &message, step);
        let outcome = match ended {
            AsyncEnded::Finished(finished) => self.keep_finished(&mut turn, finished, &scope, step),
            AsyncEnded::Panicked(text) => Err(panicked(&scope, &text)),
            AsyncEnded::TimedOut => Err(timed_out(&scope, self.limits.async_timeout)),
            AsyncEnded::Lingers => {
                turn.mailbox.block = Block::Lingering(id);
                let (entity, operation) = (&scope.entity, &*scope.operation);
                tracing::warn!(%entity, operation, "an `async` operation blocks its thread beyond its time limit");
                Err(lingers(&scope, self.limits.async_timeout))
            }
        };
        self.settle(&mut turn, *message, outcome, step, reader)?;
        if turn.entity.is_readable() {
            turn.entity.weigh(&step.encodings);
            self.states.put(instance, turn.entity);
        } else {
            self.states.remove(instance);
        }
        self.put_mailbox(instance, turn.mailbox);
        step.trace = None;
        for message in std::mem::take(&mut step.outbound) {
            self.route(message, step, reader)?;
        }
        self.make_ready(instance);
        Ok(())
    }

    /// Puts the changed copy of an `async` operation in the place of the state, if it succeeded.
    fn keep_finished(
        &mut self,
        turn: &mut Turn<'_>,
        finished: AsyncFinished,
        scope: &Scope,
        step: &mut Step,
    ) -> Outcome {
        let answer = described(Ok(finished.outcome), scope)?;
        let before = turn.entity.object.replace(finished.object);
        let outcome = self.keep(turn, finished.outbox, answer, scope, step);
        if outcome.is_err() {
            turn.entity.object = before;
        }
        outcome
    }
}
