//! External events, to running orchestrations and to those that do not exist yet.

use crate::engine::ctx::Ctx;
use crate::engine::mailbox::BlockReason;
use crate::engine::message::{Message, Origin, Response};
use crate::engine::orchestration::begin::acknowledge;
use crate::engine::orchestration::state::OrchestrationState;
use crate::engine::orchestration::turn::OrchestrationTurn;
use crate::engine::settle::finish;
use crate::engine::sweep::NEVER;
use crate::error::{Error, ErrorKind, Result};
use crate::model::orchestration::Order;

/// The answer to the sender of an accepted event.
pub(super) const TAKEN_IN: &[u8] = b"true";

impl OrchestrationTurn<'_> {
    /// Processes an event. Returns the event if it has to be delivered in the current turn.
    pub(super) fn raise(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<Option<Message>> {
        let Some(Order::Raise { keep_until, .. }) = message.order() else {
            unreachable!("only events come here");
        };
        let keep_until = keep_until.filter(|until| *until > ctx.settings.aging.at(ctx.step.now));
        if let Some(error) = self.has_no_room(&message, ctx)? {
            // The refusal is not stored for the request id: nothing happened, and a retry may find room.
            if let Some(token) = message.token() {
                ctx.step.settle(token, Response::Failed(Box::new(error.into())));
            }
            return Ok(None);
        }
        let refused = match &self.state {
            Some(state) if message.id < state.record.since => Error::new(
                ErrorKind::Ended,
                format!(
                    "the event was raised for an orchestration `{}` that has ended and was replaced by another one",
                    self.id
                ),
            ),
            Some(state) if state.is_terminal() => Error::new(
                ErrorKind::Ended,
                format!(
                    "the orchestration `{}` has ended ({}) and accepts no more events",
                    self.id,
                    state.record.status.as_str()
                ),
            ),
            // The first turn has not run yet and receives the event.
            Some(state) if state.record.turns == 0 => {
                return self.keep_event(message, NEVER, ctx);
            }
            Some(_) => {
                acknowledge(&message, TAKEN_IN.to_vec(), ctx)?;
                if !message.stored {
                    message.origin = Origin::of_stored(None);
                }
                return Ok(Some(message));
            }
            None => match keep_until {
                Some(until) => return self.keep_event(message, until, ctx),
                None => Error::no_orchestration(self.id.as_str()),
            },
        };
        finish(self.id, self.mailbox, message, Err(refused.into()), ctx)?;
        Ok(None)
    }

    /// Returns an error if an event of a client cannot wait in the queue of a suspended or stopped orchestration.
    fn has_no_room(&mut self, message: &Message, ctx: &Ctx<'_>) -> Result<Option<Error>> {
        let state = match self.mailbox.block {
            Some(BlockReason::Suspended) => "is suspended; resume or terminate it",
            Some(BlockReason::Stopped) => {
                "is stopped (see its status); open the hub with a build that can run it, or terminate it"
            }
            _ => return Ok(None),
        };
        let begun = |state: &OrchestrationState| !state.is_terminal() && state.record.turns > 0;
        if !message.can_be_refused()
            || !self.state.as_deref().is_some_and(begun)
            || !self.mailbox.is_queue_full(self.id, ctx)?
        {
            return Ok(None);
        }
        let limit = ctx.settings.limits.queue;
        Ok(Some(Error::new(
            ErrorKind::Overloaded,
            format!(
                "{limit} messages wait for the orchestration `{}`, which {state}, and then raise the event again",
                self.id
            ),
        )))
    }
}
