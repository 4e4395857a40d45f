//! What one execution of an operation may know about itself.

use std::borrow::Cow;
use std::sync::Arc;

use crate::id::{EntityId, MessageId};
use crate::time::Timestamp;

/// What one execution of an operation may know about itself.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Who the hub is: its id and incarnation, as one text.
    pub(crate) hub: Arc<str>,
    pub(crate) entity: EntityId,
    pub(crate) operation: Cow<'static, str>,
    /// The message that asked for it: stable over attempts, so it serves as idempotency key.
    pub(crate) message: MessageId,
    /// When the turn began.
    pub(crate) now: Timestamp,
}
