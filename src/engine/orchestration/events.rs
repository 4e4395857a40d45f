//! External events: to an orchestration that runs, and to one that does not exist yet.

use crate::engine::core::Core;
use crate::engine::mailbox::Block;
use crate::engine::message::{Message, Origin, Settled};
use crate::engine::orchestration::instance::Instance;
use crate::engine::orchestration::turn::Stage;
use crate::engine::orchestration::waiters::not_found;
use crate::engine::step::Step;
use crate::engine::sweep::NEVER;
use crate::error::{Error, ErrorKind, Result};
use crate::store::Reader;
use crate::store::records::instance::Order;

/// What is answered to who raised an event that was taken in.
pub(super) const TAKEN_IN: &[u8] = b"true";

impl Core {
    /// Takes in an event. It comes back if it is to be told in the turn that is being gathered.
    pub(super) fn raise(
        &mut self,
        stage: &mut Stage<'_>,
        mut message: Message,
        step: &mut Step,
        reader: &dyn Reader,
    ) -> Result<Option<Message>> {
        let Some(Order::Raise { keep_until, .. }) = message.order() else {
            return Ok(Some(message));
        };
        let keep_until = keep_until.filter(|until| *until > self.aging.at(step.now));
        if let Some(error) = self.has_no_room(stage, &message, step, reader)? {
            // It is not remembered: nothing happened, and a retry may find room.
            if let Some(token) = message.token() {
                step.settle(token, Settled::Failed(Box::new(error.into())));
            }
            return Ok(None);
        }
        let refused = match &stage.instance {
            Some(instance) if message.id < instance.record.since => Error::new(
                ErrorKind::Ended,
                format!(
                    "the event was raised for an orchestration `{}` that has ended and was replaced by another one",
                    stage.id
                ),
            ),
            Some(instance) if instance.is_terminal() => Error::new(
                ErrorKind::Ended,
                format!(
                    "the orchestration `{}` has ended ({}), so that no event reaches it any more",
                    stage.id,
                    instance.record.status.as_str()
                ),
            ),
            // Its first turn is still to come, and gets the event.
            Some(instance) if instance.record.turns == 0 => {
                return self.keep_event(stage, message, NEVER, step, reader);
            }
            Some(_) => {
                self.acknowledge(&message, TAKEN_IN.to_vec(), step, reader)?;
                if !message.stored {
                    message.origin = Origin::of_stored(None);
                }
                return Ok(Some(message));
            }
            None => match keep_until {
                Some(until) => return self.keep_event(stage, message, until, step, reader),
                None => not_found(stage.id),
            },
        };
        self.finish(stage.id, stage.mailbox, message, Err(refused.into()), step, reader)?;
        Ok(None)
    }

    /// Why an event of a client cannot wait in the queue of an orchestration that takes nothing now.
    fn has_no_room(
        &self,
        stage: &mut Stage<'_>,
        message: &Message,
        step: &Step,
        reader: &dyn Reader,
    ) -> Result<Option<Error>> {
        let state = match stage.mailbox.block {
            Block::Suspended => "is suspended; resume or terminate it",
            Block::Stopped => "is stopped, as its status says; open with a build that can run it, or terminate it",
            _ => return Ok(None),
        };
        let begun = |instance: &Instance| !instance.is_terminal() && instance.record.turns > 0;
        if !message.can_be_refused()
            || !stage.instance.as_deref().is_some_and(begun)
            || !self.is_queue_full(stage.id, stage.mailbox, step, reader)?
        {
            return Ok(None);
        }
        let limit = self.limits.queue;
        Ok(Some(Error::new(
            ErrorKind::Overloaded,
            format!(
                "{limit} messages wait for the orchestration `{}`, which {state}, and raise the event again then",
                stage.id
            ),
        )))
    }
}
