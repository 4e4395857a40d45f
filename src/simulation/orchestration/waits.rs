//! Checks of an idle hub: an orchestration that has not ended must have a reason to wait.

use std::collections::BTreeMap;

use super::inventory::Inventory;
use super::reference::Reference;
use crate::id::{ExecutionId, InstanceId, Sequence};
use crate::model::history::OpenStep;
use crate::model::orchestration::{OrchestrationRecord, OrchestrationStatus, StopKind};
use crate::simulation::process::HUB;
use crate::time::Timestamp;

/// Checks that every orchestration has ended, is stopped, or waits for a reason, and that every lock has an owner that
/// wants it.
pub(super) fn have_reasons(inventory: &Inventory, references: &BTreeMap<String, Reference>, now: Timestamp) {
    for (id, record) in &inventory.orchestrations {
        if record.status.is_terminal() || record.status == OrchestrationStatus::Suspended {
            continue;
        }
        if let Some(stopped) = &record.stopped {
            assert_eq!(stopped.kind, StopKind::Panicked, "{id} is stopped: {stopped:?}");
            continue;
        }
        if record.turns == 0 {
            let begins_later = inventory.timers.iter().any(|(of, _)| of == id);
            assert!(begins_later, "{id} does not begin: {record:?}");
            continue;
        }
        let mut open = references[id].steps.open_steps().peekable();
        assert!(open.peek().is_some(), "{id} waits for nothing: {record:?}");
        for (sequence, step) in open {
            let waits = references[id].steps.wants(sequence) || matches!(step, OpenStep::Event);
            assert!(
                !waits || has_reason(inventory, id, record, sequence, &step, now),
                "{id} waits for its step {sequence} without a reason: {step:?}"
            );
        }
    }
    no_orphans(inventory, references);
    for (entity, lock) in &inventory.locks {
        let owner = inventory.orchestrations.get(lock.owner.instance.as_str());
        let is_alive =
            owner.is_some_and(|owner| !owner.status.is_terminal() && owner.execution == lock.owner.execution);
        let wants = references.get(lock.owner.instance.as_str()).is_some_and(|reference| {
            let is_lock = |(sequence, step): (Sequence, OpenStep)| {
                sequence == lock.owner.sequence && matches!(step, OpenStep::Lock { .. })
            };
            reference.steps.open_steps().any(is_lock)
        });
        assert!(
            is_alive && wants,
            "{entity} is locked without an owner that wants it: {lock:?}"
        );
    }
    sections_hold_their_locks(inventory, references);
}

/// Checks that the parent of a sub-orchestration that has not ended still wants it. Exempt are children whose parent
/// was ended without its children or continued in another execution, and children that were rewound or restarted.
fn no_orphans(inventory: &Inventory, references: &BTreeMap<String, Reference>) {
    for (id, record) in &inventory.orchestrations {
        let Some(parent) = record.parent.as_ref().filter(|_| !record.status.is_terminal()) else {
            continue;
        };
        // A rewind, a restart and a continue-as-new begin another execution than the order of the parent.
        let order = record.start_order.expect("a sub-orchestration began with an order");
        let by_parent = ExecutionId::derive(HUB, &InstanceId::trusted(id.clone()), order);
        let is_first = record.execution == by_parent && references[id].steps.seed == by_parent;
        let of_parent = inventory
            .orchestrations
            .get(parent.instance.as_str())
            .filter(|of| of.execution == parent.execution);
        let ended_itself = |status| !matches!(status, OrchestrationStatus::Terminated | OrchestrationStatus::Canceled);
        let Some(of_parent) = of_parent.filter(|of| ended_itself(of.status) && is_first) else {
            continue;
        };
        let waits = references[parent.instance.as_str()].steps.wants(parent.sequence);
        assert!(
            waits,
            "{id} has not ended but its parent does not want it: {parent:?} {of_parent:?}"
        );
    }
}

/// Checks that an orchestration with granted locks holds all of them, except for those that were released by force.
/// This implies that no two orchestrations hold the same lock.
pub(super) fn sections_hold_their_locks(inventory: &Inventory, references: &BTreeMap<String, Reference>) {
    for (id, reference) in references {
        let record = &inventory.orchestrations[id];
        if record.status.is_terminal() {
            continue;
        }
        for (sequence, step) in reference.steps.open_steps() {
            let OpenStep::Lock {
                entities,
                granted: true,
            } = step
            else {
                continue;
            };
            for entity in entities {
                let owner = inventory.locks.get(entity.as_str()).map(|lock| &lock.owner);
                let holds = owner.is_some_and(|owner| {
                    owner.instance.as_str() == id && owner.execution == record.execution && owner.sequence == sequence
                });
                let was_forced = reference.steps.lost().contains(&entity) || inventory.will_lose(id, entity.as_str());
                assert!(
                    holds || was_forced,
                    "{id} was granted the lock of {entity}, but the holder is {owner:?}"
                );
            }
        }
    }
}

fn has_reason(
    inventory: &Inventory,
    id: &str,
    record: &OrchestrationRecord,
    sequence: Sequence,
    step: &OpenStep,
    now: Timestamp,
) -> bool {
    let is_locked_by_another = |entity: &InstanceId| {
        let lock = inventory.locks.get(entity.as_str());
        lock.is_some_and(|lock| lock.owner.instance.as_str() != id || lock.owner.sequence != sequence)
    };
    match step {
        OpenStep::Event => true,
        OpenStep::Timer { due } => *due > now,
        OpenStep::Activity => false,
        OpenStep::Child { instance } => inventory.orchestrations.get(instance.as_str()).is_some_and(|child| {
            let is_parents = child.parent.as_ref().is_some_and(|parent| {
                parent.instance.as_str() == id && parent.execution == record.execution && parent.sequence == sequence
            });
            is_parents && !child.status.is_terminal()
        }),
        OpenStep::Call { target } => {
            is_locked_by_another(target) && inventory.calls.contains(&(id.to_owned(), record.execution, sequence))
        }
        OpenStep::Lock { entities, granted } => *granted || entities.iter().any(is_locked_by_another),
    }
}
