//! The messages of one operation, held back until the operation has succeeded.

use crate::error::Error;
use crate::id::{InstanceId, MessageId};
pub(crate) use crate::model::Action;

/// The messages of one operation. Dropped as a whole if the operation fails.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) messages: Vec<Outgoing>,
    /// True if the operation requested the deletion of its state.
    pub(crate) delete_state: bool,
    /// True if the effects were accepted earlier, possibly under other limits than the current ones.
    pub(crate) is_accepted: bool,
    /// The error of the first message that could not be created. It fails the operation.
    pub(crate) error: Option<Error>,
    timers: u32,
}

/// An outgoing message.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) target: InstanceId,
    pub(crate) action: Action,
}

impl Outbox {
    /// Returns a timer name that is unique in the hub.
    pub(crate) fn draw_timer_name(&mut self, message: MessageId) -> String {
        self.timers += 1;
        format!("{message}-{}", self.timers)
    }
}
