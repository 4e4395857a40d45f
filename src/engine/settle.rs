//! The end of a message: its row goes, its sender hears, and a request id remembers.

use crate::engine::core::Core;
use crate::engine::mailbox::Mailbox;
use crate::engine::message::{Message, Origin, Settled};
use crate::engine::outcome::{Outcome, Unanswered};
use crate::engine::step::Step;
use crate::engine::turn::Turn;
use crate::error::{ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::{InstanceId, MessageId};
use crate::store::records::instance::Order;
use crate::store::records::{Action, RequestOutcome};
use crate::store::{Reader, keys};

impl Core {
    /// Ends a message whose operation has an outcome.
    pub(super) fn settle(
        &mut self,
        turn: &mut Turn<'_>,
        message: Message,
        outcome: Outcome,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        self.finish(turn.id, &mut turn.mailbox, message, outcome, step, reader)
    }

    pub(super) fn finish(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        message: Message,
        outcome: Outcome,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        self.consume(&message, mailbox, step);
        step.trace.clone_from(&message.trace);
        let outcome = outcome.map_err(|unanswered| {
            step.counts.failures += 1;
            unanswered.within(self.limits.payload_bytes, || asked_by(&message))
        });
        if message.is_call() {
            return self.answer_call(&message, outcome, step, reader);
        }
        if let Origin::Step(caller, asked) = message.origin {
            let order = Order::Completed {
                execution: asked.execution,
                sequence: asked.sequence,
                outcome: outcome.map_err(|Unanswered(failure)| *failure).into(),
            };
            step.send(id, caller, Action::Order(Box::new(order)));
            return Ok(());
        }
        self.finish_signal(message, outcome.err(), step, reader)
    }

    /// Sends the outcome of a call to the client that waits for it, and to those that have repeated the request.
    pub(super) fn answer_call(
        &mut self,
        message: &Message,
        outcome: Outcome,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        // Only whoever waits for a row is among the callers.
        let caller = if message.stored {
            self.callers.remove(&message.id).map(|(token, _)| token)
        } else {
            None
        };
        let token = caller.or(message.token());
        self.remember_outcome(message, &outcome, step, reader)?;
        let attached = self.take_attached(message);
        if token.is_none() && attached.is_empty() {
            return Ok(());
        }
        if let Ok(answer) = &outcome {
            step.held += answer.len();
        }
        let settled = outcome.map_or_else(Settled::from, Settled::Answer);
        for token in attached {
            step.settle(token, settled.clone());
        }
        if let Some(token) = token {
            step.settle(token, settled);
        }
        Ok(())
    }

    fn finish_signal(
        &mut self,
        message: Message,
        failure: Option<Unanswered>,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let waits = if message.stored { None } else { message.token() };
        if let Some(Unanswered(failure)) = failure {
            let undeliverable = is_undeliverable(&failure);
            if let (true, Some(token)) = (undeliverable, waits) {
                step.settle(token, Settled::Failed(failure));
                return Ok(());
            }
            let reason = describe(&failure);
            if undeliverable {
                self.bury(&message, &reason, step)?;
            } else {
                tracing::warn!(entity = %message.target, message_id = %message.id, reason, "a signal failed and was rolled back");
            }
        }
        if !message.stored {
            self.remember(&message, RequestOutcome::Accepted, step, reader)?;
        }
        if let Some(token) = waits {
            step.settle(token, Settled::Accepted);
        }
        Ok(())
    }

    /// Ends every call that waits for an instance as a row.
    pub(super) fn fail_waiting_calls(
        &mut self,
        id: &InstanceId,
        mailbox: &mut Mailbox,
        error: &crate::Error,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<()> {
        let mut calls: Vec<MessageId> = self
            .callers
            .iter()
            .filter(|(_, (_, target))| target == id)
            .map(|(message, _)| *message)
            .collect();
        calls.sort_unstable();
        for call in calls {
            let in_memory = mailbox.waiting.iter().position(|message| message.id == call);
            let message = match in_memory.and_then(|at| mailbox.waiting.remove(at)) {
                Some(message) => message,
                None => {
                    let key = keys::message(self.partition_of(id), id, call);
                    // A row that this very step wrote is not seen yet; it waits for the instance to be resumed.
                    let Some(value) = reader.get(&key)? else { continue };
                    Message::from_row(id, &key, &value)?
                }
            };
            mailbox.waiting_count = mailbox.waiting_count.saturating_sub(1);
            self.finish(id, mailbox, message, Err(error.clone().into()), step, reader)?;
        }
        Ok(())
    }
}

/// What a message asks for, as a part of a sentence.
fn asked_by(message: &Message) -> String {
    match &message.action {
        Action::Operation { operation, .. } | Action::Schedule { operation, .. } => {
            format!("`{operation}` of `{}`", message.target)
        }
        Action::Cancel { .. } | Action::Lock(_) | Action::Order(_) => format!("`{}`", message.target),
    }
}

/// Whether nobody will ever be able to process the message in this build.
fn is_undeliverable(failure: &CallFailure) -> bool {
    matches!(failure, CallFailure::Runtime(error)
        if matches!(error.kind(), ErrorKind::UnknownOperation | ErrorKind::InvalidArguments))
}

fn describe(failure: &CallFailure) -> String {
    match failure {
        CallFailure::Returned(failure) => failure.to_string(),
        CallFailure::Runtime(error) => error.to_string(),
    }
}
