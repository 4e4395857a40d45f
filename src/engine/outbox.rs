//! What one operation sends, held back until the operation has succeeded.

use crate::error::Error;
use crate::id::{InstanceId, MessageId};
pub(crate) use crate::store::records::Action;

/// What one operation sends. Dropped whole when the operation fails.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) messages: Vec<Outgoing>,
    /// The operation asked for its own state to be deleted when it ends.
    pub(crate) delete_state: bool,
    /// Whether all of it was accepted before, under limits that may have been others than today's.
    pub(crate) is_accepted: bool,
    /// The first message that could not be made; it fails the operation.
    pub(crate) error: Option<Error>,
    timers: u32,
}

/// A message on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) target: InstanceId,
    pub(crate) action: Action,
}

impl Outbox {
    /// A timer name that no other message of the hub can have drawn.
    pub(crate) fn draw_timer_name(&mut self, message: MessageId) -> String {
        self.timers += 1;
        format!("{message}-{}", self.timers)
    }
}
