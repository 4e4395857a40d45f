//! What one operation sends, held back until the operation has succeeded.

use std::borrow::Cow;

use crate::error::Error;
use crate::id::{EntityId, MessageId};
use crate::time::Timestamp;

/// What one operation sends. Dropped whole when the operation fails.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) messages: Vec<Outgoing>,
    /// The operation asked for its own state to be deleted when it ends.
    pub(crate) delete_state: bool,
    /// The first message that could not be made; it fails the operation.
    pub(crate) error: Option<Error>,
    timers: u32,
}

/// A message on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) target: EntityId,
    pub(crate) action: Action,
}

/// What a message asks of its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run an operation, now.
    Operation {
        operation: Cow<'static, str>,
        arguments: Vec<u8>,
    },
    /// Run an operation when `due` has come. A timer of this name that waits already is replaced.
    Schedule {
        timer: String,
        due: Timestamp,
        operation: Cow<'static, str>,
        arguments: Vec<u8>,
    },
    /// Forget the scheduled operation of this name, if it has not fired.
    Cancel { timer: String },
}

impl Outbox {
    /// Takes everything out and leaves the outbox as new.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.delete_state = false;
        self.error = None;
        self.timers = 0;
    }

    /// A timer name that no other message of the hub can have drawn.
    pub(crate) fn draw_timer_name(&mut self, message: MessageId) -> String {
        self.timers += 1;
        format!("{message}-{}", self.timers)
    }
}
