//! What an open hub tells beside its rows.

use crate::engine::message::ActivityKey;
use crate::id::{ExecutionId, InstanceId, Sequence};
use crate::runtime::Runtime;
use crate::views::view::Live;
use crate::views::waiting::ActivityProgress;

impl Live for Runtime {
    fn has_activity(&self, name: &str) -> bool {
        self.registry.activity(name).is_some()
    }

    fn has_entity(&self, name: &str) -> bool {
        self.registry.entity(name).is_some()
    }

    fn progress(
        &self,
        instance: &InstanceId,
        execution: ExecutionId,
        sequence: Sequence,
        name: &str,
    ) -> ActivityProgress {
        let activity = ActivityKey {
            instance: instance.clone(),
            execution,
            sequence,
        };
        if self.activities.is_requested(&activity) {
            return ActivityProgress::Running;
        }
        match self.slots.place(&activity, name) {
            Some(place) => ActivityProgress::InLine {
                ahead: place.ahead,
                running: place.running,
                limit: place.limit,
            },
            None => ActivityProgress::Queued,
        }
    }
}
