//! Checks of the code version that runs an orchestration, and of orchestrations that wait for a missing version.

use super::observations::Shown;
use crate::model::history::{Command, Incoming, Parent, Started};
use crate::model::orchestration::{OrchestrationRecord, OrchestrationStatus, StopKind};
use crate::simulation::builds::Build;
use crate::simulation::coverage::CoverageMark;
use crate::simulation::world::World;

impl World {
    /// Returns whether the process of its shard has code for an orchestration.
    fn can_run(&self, id: &str, record: &OrchestrationRecord) -> bool {
        let process = self.process_of(id);
        process.build != Build::LacksOrchestrations && process.versions.runs(&record.version).is_some()
    }

    /// Checks which code runs an orchestration. It is stopped as unregistered only in a process without code for it.
    pub(super) fn check_code(&mut self, id: &str, record: &OrchestrationRecord) {
        let is_gone = |record: &OrchestrationRecord| {
            let stopped = record.stopped.as_ref();
            stopped.is_some_and(|stopped| stopped.kind == StopKind::Unregistered)
        };
        let runs = self.process.versions.runs(&record.version);
        let is_older = record.status == OrchestrationStatus::Running && record.stopped.is_none();
        let is_older = is_older && runs.is_some_and(|version| version != record.version);
        self.see(CoverageMark::OrchestrationRunByNewerCode, is_older);
        // A row that was already stopped may come from the previous process.
        if !is_gone(record) || self.instance_record(id).is_some_and(|before| is_gone(&before)) {
            return;
        }
        assert!(
            !self.can_run(id, record),
            "{id} is stopped although its code is registered: {record:?}"
        );
        let is_version = self.process.build != Build::LacksOrchestrations;
        self.see(CoverageMark::OrchestrationVersionGone, is_version);
    }

    /// Checks that in an idle hub no orchestration waits for registered code, or has a note that it does.
    pub(in crate::simulation) fn check_code_when_idle(&self, entities_are_held_up: bool) {
        let inventory = self.inventory();
        let instances = inventory.orchestrations;
        let holds_up =
            |record: &OrchestrationRecord| record.stopped.is_some() || record.status == OrchestrationStatus::Suspended;
        // A call that waits behind a lock, or for a held or quarantined entity, keeps its note of an earlier process.
        let all_run = !entities_are_held_up && inventory.locks.is_empty() && !instances.values().any(holds_up);
        let has_no_notes = all_run && self.process_has_all_code();
        for (id, record) in instances {
            assert!(
                !has_no_notes || record.unregistered.is_empty(),
                "{id} has a note that it waits for registered code: {record:?}"
            );
            let is_active = !record.status.is_terminal() && record.status != OrchestrationStatus::Suspended;
            let waits = |stop: &crate::model::orchestration::Stopped| stop.kind == StopKind::Unregistered;
            let waits = is_active && record.stopped.as_ref().is_some_and(waits);
            assert!(
                !(waits && self.can_run(&id, &record)),
                "{id} waits for registered code: {record:?}"
            );
        }
    }

    /// Checks that a sub-orchestration begins with the version that its parent named, or with the newest one of this
    /// process.
    pub(super) fn check_versions_of_children(&self, shown: &Shown) {
        for (at, (id, _, turn)) in shown.turns.iter().enumerate() {
            let Some(started) = turn.incoming.iter().find_map(started) else {
                continue;
            };
            // An earlier orchestration with this id may have continued as new, or may begin again.
            let is_first = self.instance_record(id).is_none() && shown.turns[..at].iter().all(|(of, ..)| of != id);
            let parent = started.parent.as_ref().filter(|_| is_first);
            let Some(named) = parent.and_then(|parent| self.named_version(parent, shown)) else {
                continue;
            };
            let expected = named.unwrap_or_else(|| self.process.versions.newest().to_owned());
            assert_eq!(
                started.version, expected,
                "the version of {id}, which {parent:?} started"
            );
        }
    }

    /// Returns the version that a parent requested, if the history of the parent still exists.
    fn named_version(&self, parent: &Parent, shown: &Shown) -> Option<Option<String>> {
        let record = self.instance_record(parent.instance.as_str());
        let record = record.filter(|record| record.execution == parent.execution);
        let before = record.map(|record| self.history(parent.instance.as_str(), &record));
        let here = shown
            .turns
            .iter()
            .filter(|(of, execution, _)| of == parent.instance.as_str() && *execution == parent.execution);
        let turns = before
            .into_iter()
            .flatten()
            .chain(here.map(|(_, _, turn)| turn.clone()));
        turns.flat_map(|turn| turn.commands).find_map(|command| match command {
            Command::StartOrchestration { sequence, version, .. } if sequence == parent.sequence => Some(version),
            _ => None,
        })
    }
}

pub(super) fn started(incoming: &Incoming) -> Option<&Started> {
    match incoming {
        Incoming::Started(started) => Some(started),
        _ => None,
    }
}
