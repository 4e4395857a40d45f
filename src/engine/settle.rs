//! The end of a message: its row is deleted, its sender receives the outcome, and the outcome is stored for its request
//! id.

use crate::engine::call_result::{CallResult, Unanswered};
use crate::engine::ctx::Ctx;
use crate::engine::dead_letters::bury;
use crate::engine::mailbox::Mailbox;
use crate::engine::message::{Message, Origin, Response};
use crate::engine::requests::{remember, remember_outcome, take_attached};
use crate::engine::spans::error_of_call;
use crate::engine::turn::EntityTurn;
use crate::error::{Error, ErrorKind, Result};
use crate::failure::CallFailure;
use crate::id::InstanceId;
use crate::model::orchestration::Order;
use crate::model::{Action, RequestOutcome};
use crate::schema;

impl EntityTurn<'_> {
    /// Ends a message with the outcome of its operation.
    pub(super) fn settle(&mut self, message: Message, outcome: CallResult, ctx: &mut Ctx<'_>) -> Result<()> {
        finish(self.id, &mut self.mailbox, message, outcome, ctx)
    }
}

pub(super) fn finish(
    id: &InstanceId,
    mailbox: &mut Mailbox,
    message: Message,
    outcome: CallResult,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    mailbox.consume(&message, ctx);
    ctx.step.trace.clone_from(&message.trace);
    let outcome = outcome.map_err(|unanswered| {
        ctx.step.counts.failures += 1;
        unanswered.within(ctx.settings.limits.payload_bytes, || asked_by(&message))
    });
    if message.trace.is_some() {
        let error = outcome.as_ref().err().map(|Unanswered(failure)| error_of_call(failure));
        ctx.record_operation(&message, error);
    }
    if message.is_call() {
        return answer_call(&message, outcome, ctx);
    }
    if let Origin::Step(caller, asked) = message.origin {
        let order = Order::Completed {
            execution: asked.execution,
            sequence: asked.sequence,
            outcome: outcome.map_err(|Unanswered(failure)| *failure).into(),
        };
        ctx.step.send(id, caller, Action::Order(Box::new(order)));
        return Ok(());
    }
    finish_signal(message, outcome.err(), ctx)
}

/// Sends the outcome of a call to the client that waits for it, and to the clients that repeated the request.
pub(super) fn answer_call(message: &Message, outcome: CallResult, ctx: &mut Ctx<'_>) -> Result<()> {
    // Only clients whose calls are rows are among the callers.
    let caller = if message.stored {
        ctx.callers.take(message.id)
    } else {
        None
    };
    let token = caller.or(message.token());
    remember_outcome(message, &outcome, ctx)?;
    let attached = take_attached(message, ctx);
    if token.is_none() && attached.is_empty() {
        return Ok(());
    }
    if let Ok(answer) = &outcome {
        ctx.step.held += answer.len();
    }
    let settled = outcome.map_or_else(Response::from, Response::Answer);
    for token in attached {
        ctx.step.settle(token, settled.clone());
    }
    if let Some(token) = token {
        ctx.step.settle(token, settled);
    }
    Ok(())
}

fn finish_signal(message: Message, failure: Option<Unanswered>, ctx: &mut Ctx<'_>) -> Result<()> {
    let waits = if message.stored { None } else { message.token() };
    if let Some(Unanswered(failure)) = failure {
        let undeliverable = is_undeliverable(&failure);
        if let (true, Some(token)) = (undeliverable, waits) {
            ctx.step.settle(token, Response::Failed(failure));
            return Ok(());
        }
        let reason = describe(&failure);
        if undeliverable {
            bury(&message, &reason, ctx)?;
        } else {
            tracing::warn!(entity = %message.target, message_id = %message.id, reason, "a signal failed and was rolled back");
        }
    }
    if !message.stored {
        remember(&message, RequestOutcome::Accepted, ctx)?;
    }
    if let Some(token) = waits {
        ctx.step.settle(token, Response::Accepted);
    }
    Ok(())
}

/// Fails every call that waits for an instance as a row.
pub(super) fn fail_waiting_calls(
    id: &InstanceId,
    mailbox: &mut Mailbox,
    error: &Error,
    ctx: &mut Ctx<'_>,
) -> Result<()> {
    for call in ctx.callers.calls_for(id) {
        let in_memory = mailbox.waiting.iter().position(|message| message.id == call);
        let message = match in_memory.and_then(|at| mailbox.waiting.remove(at)) {
            Some(message) => message,
            None => {
                let key = schema::message::key(ctx.settings.partition_of(id), id, call);
                // The reader does not show a row of this step. Such a call waits until the instance is released.
                let Some(value) = ctx.reader.get(&key)? else { continue };
                Message::from_row(id, &key, &value)?
            }
        };
        mailbox.waiting_count = mailbox.waiting_count.saturating_sub(1);
        finish(id, mailbox, message, Err(error.clone().into()), ctx)?;
    }
    Ok(())
}

/// Returns a description of the request, for error texts.
fn asked_by(message: &Message) -> String {
    match &message.action {
        Action::Operation { operation, .. } | Action::Schedule { operation, .. } => {
            format!("`{operation}` of `{}`", message.target)
        }
        Action::Cancel { .. } | Action::Lock(_) | Action::Order(_) => format!("`{}`", message.target),
    }
}

/// Returns `true` if this build can never process the message.
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
