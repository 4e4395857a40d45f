//! The metadata that an execution of an operation can access.

use std::borrow::Cow;
use std::sync::Arc;

use crate::id::{EntityId, MessageId};
use crate::time::Timestamp;

/// The metadata that an execution of an operation can access.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Id and incarnation of the hub, as one string.
    pub(crate) hub: Arc<str>,
    pub(crate) entity: EntityId,
    pub(crate) operation: Cow<'static, str>,
    /// The message that requested the operation. It is the same for every attempt, so it serves as the idempotency key.
    pub(crate) message: MessageId,
    /// Start of the turn.
    pub(crate) now: Timestamp,
}
