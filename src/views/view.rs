//! The rows that a read sees.

use serde::Serialize;

use crate::id::ActivityKey;
use crate::store::Reader;

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
    fn progress(&self, activity: &ActivityKey, name: &str) -> ActivityProgress;
}

/// The progress of an activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum ActivityProgress {
    /// It runs.
    Running,
    /// It waits for a slot.
    InLine {
        /// The number of activities of the same name that are before it.
        ahead: usize,
        /// The number of activities that run now, of all names.
        running: usize,
        /// Maximum number of activities that run at once, of all names.
        limit: usize,
    },
    /// It waits for a slot behind those that are in memory.
    Queued,
    /// Its name is not registered with this build.
    Unregistered,
    /// It was requested, and the hub is stopped.
    Stopped,
    /// It has ended, and its result is on its way.
    Ended,
}
