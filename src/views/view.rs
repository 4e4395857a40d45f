//! The rows that a read sees.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::id::{ActivityKey, InstanceId, Sequence};
use crate::model::orchestration::OrchestrationRecord;
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

    /// Returns whether an attempt of the activity runs.
    fn is_running(&self, activity: &ActivityKey) -> bool;

    /// Returns the registered activities, each with the number of them that may run at once.
    fn activities(&self) -> Vec<(String, Option<usize>)>;

    /// Returns the number of activities that may run at once.
    fn activity_slots(&self) -> usize;

    /// Returns the positions of the open steps of an orchestration in the source of its code, which is replayed for
    /// that. Empty if the code is not registered or does not match the history.
    fn sources(&self, reader: &dyn Reader, id: &InstanceId, record: &OrchestrationRecord)
    -> BTreeMap<Sequence, String>;
}

/// The progress of an activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
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
    /// It runs or waits for a slot on the node that runs the hub, and only that node knows which.
    Elsewhere,
    /// It was requested, and the hub is stopped.
    Stopped,
    /// It has ended, and its result is on its way.
    Ended,
}

impl ActivityProgress {
    /// Returns how far an activity is that has a row.
    pub(crate) fn of(view: View<'_>, activity: &ActivityKey, name: &str) -> Self {
        match view.live {
            None => Self::Stopped,
            Some(live) if !live.has_activity(name) => Self::Unregistered,
            Some(live) => live.progress(activity, name),
        }
    }
}
