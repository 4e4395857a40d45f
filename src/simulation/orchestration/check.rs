//! Invariants of orchestrations: when an activity begins, after every crash, when the hub is idle, and at rest.

use std::collections::{BTreeMap, BTreeSet};

use super::Mirror;
use super::inventory::Inventory;
use super::reference::Reference;
use super::{effects, rows, waits};
use crate::id::{ActivityKey, InstanceId, Sequence};
use crate::model::history::{Command, Incoming};
use crate::model::orchestration::{ActivityRecord, OrchestrationRecord, OrchestrationStatus, Order};
use crate::model::{self, Action};
use crate::schema;
use crate::simulation::clients::{Heard, Request, What, Wish};
use crate::simulation::coverage::CoverageMark;
use crate::simulation::giving_up::waiting_in;
use crate::simulation::process::Asked;
use crate::simulation::world::World;
use crate::store::Reader;
use crate::views::view::View;
use crate::views::waiting;

/// Checks that an attempt of an activity begins only if a history requests it and has no end of it, and its row shows
/// that it runs.
pub(super) fn has_asked(world: &World, activity: &ActivityKey, attempt: u32, input: &[u8]) {
    let id = activity.instance.as_str();
    let told = || format!("the activity {activity} begins with attempt {attempt}");
    let record = world
        .instance_record(id)
        .unwrap_or_else(|| panic!("{} without an orchestration", told()));
    assert_eq!(
        record.execution,
        activity.execution,
        "{} for an execution that has ended",
        told()
    );
    let mut asked = None;
    for turn in world.history(id, &record) {
        for incoming in &turn.incoming {
            if matches!(incoming, Incoming::Completed { sequence, .. } if *sequence == activity.sequence) {
                asked = None;
            }
        }
        for command in turn.commands {
            if let Command::CallActivity {
                sequence,
                attempt,
                input,
                ..
            } = command
                && sequence == activity.sequence
            {
                asked = Some((attempt, input));
            }
        }
    }
    assert_eq!(
        asked,
        Some((attempt, input.to_vec())),
        "{} but no history requests it",
        told()
    );
    let partition = activity.instance.partition(world.profile.partitions);
    let key = schema::activity::key(partition, &activity.instance, activity.execution, activity.sequence);
    let row = world.model.get(&key).expect("the model's reads do not fail");
    let record: Option<ActivityRecord> = row.map(|row| model::decode(&row, "activity").expect("valid activity"));
    let runs = record
        .as_ref()
        .is_some_and(|record| record.started.is_some() && record.attempt == attempt);
    assert!(runs, "{} but its row is {record:?}", told());
}

impl World {
    /// Checks that everything released before a crash still holds after it, and that rows are consistent.
    pub(in crate::simulation) fn check_after_crash(&mut self) {
        if self.profile.orchestrations.is_none() {
            return;
        }
        let inventory = self.inventory();
        self.see(CoverageMark::LockInACrash, !inventory.locks.is_empty());
        self.see(CoverageMark::ActivityInACrash, !self.process.jobs.is_empty());
        self.see(
            CoverageMark::ActivityThatWaited,
            inventory.activities.values().any(|record| record.started.is_none()),
        );
        self.see(CoverageMark::EarlyEvent, !inventory.early.is_empty());
        let references = self.follow_all(&inventory);
        rows::belong_together(&inventory, &references);
        waits::sections_hold_their_locks(&inventory, &references);
        effects::at_most_once(self, &self.survey());
        for request in &self.requests {
            self.is_still_true(request, &inventory);
        }
    }

    pub(super) fn follow_all(&self, inventory: &Inventory) -> BTreeMap<String, Reference> {
        let follow = |(id, record): (&String, &OrchestrationRecord)| (id.clone(), self.follow(id, record, inventory));
        inventory.orchestrations.iter().map(follow).collect()
    }

    /// Checks that an orchestration exists if its start was acknowledged, and likewise an event.
    fn is_still_true(&self, request: &Request, inventory: &Inventory) {
        let acknowledged = request.heard.iter().any(|heard| matches!(heard, Heard::Text(_)));
        let id = request.target.as_str();
        let is_there = match request.what {
            _ if !acknowledged => true,
            What::Order(Wish::Start) => {
                inventory.orchestrations.contains_key(id)
                    || self.observations.removed.iter().any(|(_, removed)| removed == id)
            }
            What::Order(Wish::Raise(note)) => self.observations.notes.contains_key(&note),
            _ => true,
        };
        assert!(is_there, "an acknowledged request is lost: {request:?}");
    }

    /// Returns whether messages and clients may have to wait because the instance is locked, suspended or stopped.
    pub(in crate::simulation) fn may_wait(&self, id: &str) -> bool {
        if self.profile.orchestrations.is_none() {
            return false;
        }
        if id.starts_with('@') {
            let id = InstanceId::trusted(id);
            let partition = id.partition(self.profile.partitions);
            let lock = self.model_of(partition).get(&schema::lock::key(partition, &id));
            return lock.expect("the model's reads do not fail").is_some();
        }
        let waits =
            |record: OrchestrationRecord| record.stopped.is_some() || record.status == OrchestrationStatus::Suspended;
        self.instance_record(id).is_some_and(waits)
    }

    /// Returns whether an orchestration exists and has not ended, so that clients may wait for its end.
    pub(in crate::simulation) fn has_not_ended(&self, id: &InstanceId) -> bool {
        let record = self.instance_record(id.as_str());
        record.is_some_and(|record| !record.status.is_terminal())
    }

    /// Checks that the report about each orchestration lists the steps that its code waits for.
    fn check_reports(&self, references: &BTreeMap<String, Reference>) {
        let rows = self.whole();
        let view = View {
            reader: rows.as_ref(),
            partitions: self.profile.partitions,
            live: None,
        };
        for (id, reference) in references {
            let report = waiting::read(view, &InstanceId::trusted(id.as_str()));
            let report = report.expect("the rows are valid").expect("the orchestration exists");
            if report.status.is_terminal() || report.stopped.is_some() {
                continue;
            }
            let told: BTreeSet<Sequence> = report.steps.iter().map(|step| step.sequence).collect();
            assert_eq!(told, reference.steps.awaited(), "the reasons of {id}: {report:?}");
        }
    }

    /// Checks an idle hub that no build or operator holds up: an orchestration that has not ended waits for a reason.
    pub(in crate::simulation) fn check_when_idle(&mut self) {
        let inventory = self.inventory();
        self.see(CoverageMark::LockHeld, !inventory.locks.is_empty());
        let references = self.follow_all(&inventory);
        rows::belong_together(&inventory, &references);
        rows::no_row_is_without_its_child(&inventory);
        self.check_reports(&references);
        Mirror::all_of(self.processes().map(|process| &process.mirror)).agrees_with(&inventory);
        let suspended = |record: &OrchestrationRecord| record.status == OrchestrationStatus::Suspended;
        match inventory.orchestrations.values().any(suspended) {
            // A suspended orchestration holds others up.
            true => waits::sections_hold_their_locks(&inventory, &references),
            false => waits::have_reasons(&inventory, &references, self.now),
        }
        let wait = |asked: &Asked| match asked {
            Asked::Wait(request) => Some(*request),
            _ => None,
        };
        for (_, _, request) in self.processes().flat_map(|process| waiting_in(process, wait)) {
            let target = &self.requests[request].target;
            assert!(
                self.has_not_ended(target),
                "a client still waits for the end of {target}"
            );
        }
    }
}

impl Inventory {
    /// Returns whether an orchestration is about to be notified that the lock of an entity was released by force.
    pub(super) fn will_lose(&self, id: &str, entity: &str) -> bool {
        self.orders.iter().any(|(target, action)| {
            let Action::Order(order) = action else { return false };
            target == id && matches!(&**order, Order::LockLost { entity: lost, .. } if lost.as_str() == entity)
        })
    }
}
