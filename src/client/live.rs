//! The state of an open hub that is not in its rows.

use crate::id::ActivityKey;
use crate::runtime::Runtime;
use crate::views::view::{ActivityProgress, Live};

impl Live for Runtime {
    fn has_activity(&self, name: &str) -> bool {
        self.registry.activity(name).is_some()
    }

    fn has_entity(&self, name: &str) -> bool {
        self.registry.entity(name).is_some()
    }

    fn progress(&self, activity: &ActivityKey, name: &str) -> ActivityProgress {
        if self.activities.is_requested(activity) {
            return ActivityProgress::Running;
        }
        match self.slots.place(activity, name) {
            Some(place) => ActivityProgress::InLine {
                ahead: place.ahead,
                running: place.running,
                limit: place.limit,
            },
            None => ActivityProgress::Queued,
        }
    }
}
