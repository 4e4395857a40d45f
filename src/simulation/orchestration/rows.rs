//! Consistency of rows: after every commit, no row is without its counterpart.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::Inventory;
use super::reference::Reference;
use crate::model::Action;
use crate::model::history::OpenStep;
use crate::model::orchestration::{OrchestrationStatus, Order};

/// Checks the rows of orchestrations against each other. `references` have replayed the histories.
pub(super) fn belong_together(inventory: &Inventory, references: &BTreeMap<String, Reference>) {
    let instances = &inventory.orchestrations;
    let index: BTreeSet<_> = instances
        .iter()
        .map(|(id, record)| (record.status, record.created.0, id.clone()))
        .collect();
    assert_eq!(
        inventory.index, index,
        "the index of statuses differs from the orchestrations"
    );
    let ended: BTreeSet<&String> = ids(inventory, |id| instances[id].status.is_terminal());
    assert_eq!(
        inventory.ends.keys().collect::<BTreeSet<_>>(),
        ended,
        "the rows of ends differ from the ended orchestrations"
    );
    let with_status: BTreeSet<&String> = ids(inventory, |id| instances[id].has_custom_status);
    assert_eq!(
        inventory.custom_statuses.iter().collect::<BTreeSet<_>>(),
        with_status,
        "the rows of custom statuses differ from the orchestrations with one"
    );
    let without_turns: BTreeSet<&String> = ids(inventory, |id| instances[id].turns == 0);
    assert_eq!(
        inventory.starts.iter().collect::<BTreeSet<_>>(),
        without_turns,
        "the rows of starts differ from the orchestrations without a turn"
    );
    let turns: BTreeMap<_, u32> = instances
        .iter()
        .filter(|(_, record)| record.turns > 0)
        .map(|(id, record)| ((id.clone(), record.execution), record.turns))
        .collect();
    assert_eq!(
        inventory.turns, turns,
        "the rows of histories differ from the orchestrations"
    );
    assert_eq!(
        inventory.early_held, inventory.early_counted,
        "the kept events differ from their count"
    );
    assert_eq!(
        inventory.early_places, inventory.early_counted,
        "the places of kept events differ from their count"
    );
    for id in &inventory.early {
        let has_begun = instances.get(id).is_some_and(|record| record.turns > 0);
        let is_left = inventory.early_left.contains(id);
        assert!(!has_begun || is_left, "an event is kept for {id}, which has begun");
    }
    children_have_rows(inventory);
    open_steps_have_rows(inventory, references);
    rows_have_open_steps(inventory, references);
}

/// Checks that a row of a child belongs to an existing parent, and that a parent that has not ended has a row for each
/// child of its execution. The rows of an ended parent are deleted page by page.
fn children_have_rows(inventory: &Inventory) {
    let instances = &inventory.orchestrations;
    for (parent, child, _) in &inventory.children {
        assert!(
            instances.contains_key(parent),
            "{child} has a row for {parent}, which does not exist"
        );
    }
    for (id, record) in instances {
        let (Some(parent), Some(order)) = (&record.parent, record.start_order) else {
            assert!(
                record.parent.is_none() && record.start_order.is_none(),
                "{id} has only one of parent and start order"
            );
            continue;
        };
        let is_known = instances
            .get(parent.instance.as_str())
            .is_some_and(|known| known.execution == parent.execution && !known.status.is_terminal());
        let row = (parent.instance.to_string(), id.clone(), order);
        assert!(
            !is_known || inventory.children.contains(&row),
            "{id} is a child of {} but has no row",
            parent.instance
        );
    }
}

/// Checks that in an idle hub a row of a child belongs to an existing child. There are two exceptions:
/// the start of the child may wait for a suspended orchestration with the same id, and the notice that the child is
/// gone may wait for its suspended parent.
pub(super) fn no_row_is_without_its_child(inventory: &Inventory) {
    let waits = |id: &String, is: &dyn Fn(&Order) -> bool| {
        let there = inventory.orchestrations.get(id);
        there.is_some_and(|record| record.status == OrchestrationStatus::Suspended)
            && inventory.orders.iter().any(|(to, action)| match action {
                Action::Order(order) => to == id && is(order),
                _ => false,
            })
    };
    for (parent, child, order) in &inventory.children {
        let is_gone = |told: &Order| matches!(told, Order::ChildGone { start } if start == order);
        if waits(child, &|told| starts_for(parent, told)) || waits(parent, &is_gone) {
            continue;
        }
        let begun = inventory
            .orchestrations
            .get(child)
            .and_then(|record| record.start_order);
        assert_eq!(begun, Some(*order), "{child} has a row for {parent} but does not exist");
    }
}

/// Returns whether an order starts a sub-orchestration of `parent`.
fn starts_for(parent: &str, order: &Order) -> bool {
    let start = match order {
        Order::Start(start) => Some(start),
        Order::Rewind { start, .. } => start.as_ref(),
        _ => None,
    };
    let of = start.and_then(|start| start.parent.as_ref());
    of.is_some_and(|of| of.instance.as_str() == parent)
}

fn ids(inventory: &Inventory, is: impl Fn(&String) -> bool) -> BTreeSet<&String> {
    inventory.orchestrations.keys().filter(|id| is(id)).collect()
}

/// Checks that an orchestration that waits for an activity or a timer has its row, or is about to receive its end.
fn open_steps_have_rows(inventory: &Inventory, references: &BTreeMap<String, Reference>) {
    for (id, reference) in references {
        let record = &inventory.orchestrations[id];
        if record.status.is_terminal() {
            continue;
        }
        for (sequence, step) in reference.steps.open_steps() {
            let key = (id.clone(), record.execution, sequence);
            let has_row = match step {
                _ if !reference.steps.wants(sequence) => continue,
                OpenStep::Activity => inventory.activities.contains_key(&key),
                OpenStep::Timer { .. } => {
                    let name = format!("{}:{sequence}", record.execution);
                    inventory.timers.contains(&(id.clone(), name))
                }
                _ => continue,
            };
            let comes = inventory.will_complete(id, record.execution, sequence);
            assert!(
                has_row || comes,
                "{id} waits for its step {sequence}, which has neither row nor end: {step:?}"
            );
            assert!(
                !(has_row && comes),
                "the step {sequence} of {id} has ended but its row exists: {step:?}"
            );
        }
    }
}

/// Checks that an orchestration wants each row of an activity or a timer.
fn rows_have_open_steps(inventory: &Inventory, references: &BTreeMap<String, Reference>) {
    let is_wanted = |id: &String, sequence: u64, execution: &str| {
        let record = inventory
            .orchestrations
            .get(id)
            .filter(|record| !record.status.is_terminal());
        let reference = references.get(id).filter(|reference| reference.steps.wants(sequence));
        record.is_some_and(|record| record.execution.to_string() == execution) && reference.is_some()
    };
    for (id, execution, sequence) in inventory.activities.keys() {
        assert!(
            is_wanted(id, *sequence, &execution.to_string()),
            "no orchestration wants the activity {sequence} of {id} in {execution}"
        );
    }
    for (id, name) in &inventory.timers {
        let belongs = match name.rsplit_once(':') {
            Some((execution, sequence)) => {
                is_wanted(id, sequence.parse().expect("the name ends with a number"), execution)
            }
            None => {
                let begins_later =
                    |status| matches!(status, OrchestrationStatus::Pending | OrchestrationStatus::Suspended);
                inventory
                    .orchestrations
                    .get(id)
                    .is_some_and(|record| record.turns == 0 && begins_later(record.status))
            }
        };
        assert!(belongs, "no orchestration wants the timer {name} of {id}");
    }
}
