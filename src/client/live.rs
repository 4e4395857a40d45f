//! The state of an open hub that is not in its rows.

use std::collections::BTreeMap;

use crate::id::{ActivityKey, InstanceId, Sequence};
use crate::model::orchestration::OrchestrationRecord;
use crate::runtime::Runtime;
use crate::store::Reader;
use crate::views::view::{ActivityProgress, Live};

impl Live for Runtime {
    fn has_activity(&self, name: &str) -> bool {
        self.registry.activity(name).is_some()
    }

    fn has_entity(&self, name: &str) -> bool {
        self.registry.entity(name).is_some()
    }

    fn is_running(&self, activity: &ActivityKey) -> bool {
        self.activities.is_requested(activity)
    }

    fn activities(&self) -> Vec<(String, Option<usize>)> {
        let names = self.registry.activity_names();
        let limit = |name: &str| self.registry.activity(name).and_then(|code| code.limit());
        names.map(|name| (name.to_owned(), limit(name))).collect()
    }

    fn activity_slots(&self) -> usize {
        self.slots.limit()
    }

    fn progress(&self, activity: &ActivityKey, name: &str) -> ActivityProgress {
        if self.is_standby {
            return ActivityProgress::Elsewhere;
        }
        if self.is_running(activity) {
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

    fn sources(
        &self,
        reader: &dyn Reader,
        id: &InstanceId,
        record: &OrchestrationRecord,
    ) -> BTreeMap<Sequence, String> {
        // The report is complete without the positions, so it does not wait for other replays.
        let Some(permit) = self.replays.try_begin(id) else {
            return BTreeMap::new();
        };
        match self.replay(&permit, id, record, reader, record.turns) {
            Ok(Ok(replayed)) => replayed.sources(),
            _ => BTreeMap::new(),
        }
    }
}

/// A hub of several shards, by their numbers.
pub(super) struct LiveShards<'a>(pub(super) Vec<&'a Runtime>);

impl LiveShards<'_> {
    fn first(&self) -> &Runtime {
        self.0[0]
    }

    fn of(&self, instance: &InstanceId) -> &Runtime {
        let first = self.first();
        self.0[first.shard.of(first.partition_of(instance)).index()]
    }
}

impl Live for LiveShards<'_> {
    fn has_activity(&self, name: &str) -> bool {
        self.first().has_activity(name)
    }

    fn has_entity(&self, name: &str) -> bool {
        self.first().has_entity(name)
    }

    fn progress(&self, activity: &ActivityKey, name: &str) -> ActivityProgress {
        self.of(&activity.instance).progress(activity, name)
    }

    fn is_running(&self, activity: &ActivityKey) -> bool {
        self.of(&activity.instance).is_running(activity)
    }

    fn activities(&self) -> Vec<(String, Option<usize>)> {
        self.first().activities()
    }

    fn activity_slots(&self) -> usize {
        self.0.iter().map(|shard| shard.activity_slots()).sum()
    }

    fn sources(
        &self,
        reader: &dyn Reader,
        id: &InstanceId,
        record: &OrchestrationRecord,
    ) -> BTreeMap<Sequence, String> {
        self.of(id).sources(reader, id, record)
    }
}
