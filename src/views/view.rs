//! The rows that a read sees.

use crate::id::{ExecutionId, InstanceId, Sequence};
use crate::store::Reader;
use crate::views::waiting::ActivityProgress;

/// One state of the rows of a hub, open or stopped.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) reader: &'a dyn Reader,
    pub(crate) partitions: u16,
    /// The state of an open hub that is not in its rows. `None` for a stopped hub, whose code is unknown.
    pub(crate) live: Option<&'a dyn Live>,
}

/// An open hub, as far as a read needs it.
pub(crate) trait Live {
    /// Returns whether this build has registered the activity.
    fn has_activity(&self, name: &str) -> bool;

    /// Returns whether this build has registered the entity type.
    fn has_entity(&self, name: &str) -> bool;

    /// Returns how far a registered activity is that has a row.
    fn progress(
        &self,
        instance: &InstanceId,
        execution: ExecutionId,
        sequence: Sequence,
        name: &str,
    ) -> ActivityProgress;
}
