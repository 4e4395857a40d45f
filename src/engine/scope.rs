//! What one execution of an operation may know about itself.

use std::borrow::Cow;

use crate::id::{EntityId, MessageId};
use crate::time::Timestamp;

/// What one execution of an operation may know about itself.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) entity: EntityId,
    pub(crate) operation: Cow<'static, str>,
    /// The message that asked for it: stable over attempts, so it serves as idempotency key.
    pub(crate) message: MessageId,
    /// When the turn began.
    pub(crate) now: Timestamp,
}
