//! Rows that belong together: after every commit no row is without what it belongs to, and nothing lacks its row.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::Inventory;
use super::reference::Reference;
use crate::store::records::Action;
use crate::store::records::history::OpenStep;
use crate::store::records::instance::{OrchestrationStatus, Order};

/// Checks the rows of orchestrations against each other. `references` have followed the histories.
pub(super) fn belong_together(inventory: &Inventory, references: &BTreeMap<String, Reference>) {
    let instances = &inventory.instances;
    let index: BTreeSet<_> = instances
        .iter()
        .map(|(id, record)| (record.status, record.created.0, id.clone()))
        .collect();
    assert_eq!(inventory.index, index, "the index of statuses and the orchestrations");
    let ended: BTreeSet<&String> = ids(inventory, |id| instances[id].status.is_terminal());
    assert_eq!(
        inventory.ends.keys().collect::<BTreeSet<_>>(),
        ended,
        "the ends and who has ended"
    );
    let with_status: BTreeSet<&String> = ids(inventory, |id| instances[id].has_custom_status);
    assert_eq!(
        inventory.custom_statuses.iter().collect::<BTreeSet<_>>(),
        with_status,
        "the custom statuses and who has one"
    );
    let without_turns: BTreeSet<&String> = ids(inventory, |id| instances[id].turns == 0);
    assert_eq!(
        inventory.starts.iter().collect::<BTreeSet<_>>(),
        without_turns,
        "the starts and whose execution has no turn"
    );
    let turns: BTreeMap<_, u32> = instances
        .iter()
        .filter(|(_, record)| record.turns > 0)
        .map(|(id, record)| ((id.clone(), record.execution), record.turns))
        .collect();
    assert_eq!(inventory.turns, turns, "the rows of histories and the orchestrations");
    assert_eq!(
        inventory.early_held, inventory.early_counted,
        "events that are kept and their count"
    );
    assert_eq!(
        inventory.early_places, inventory.early_counted,
        "places of events that are kept and their count"
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

/// A row of a child belongs to a parent that is there, and a parent that runs has a row of each child of its execution. Of one
/// that has ended the rows may be going, page by page.
fn children_have_rows(inventory: &Inventory) {
    let instances = &inventory.instances;
    for (parent, child, _) in &inventory.children {
        assert!(
            instances.contains_key(parent),
            "{child} is noted for {parent}, which is gone"
        );
    }
    for (id, record) in instances {
        let (Some(parent), Some(order)) = (&record.parent, record.start_order) else {
            assert!(
                record.parent.is_none() && record.start_order.is_none(),
                "{id} has half a parent"
            );
            continue;
        };
        let is_known = instances
            .get(&parent.instance)
            .is_some_and(|known| known.execution == parent.execution && !known.status.is_terminal());
        let row = (parent.instance.clone(), id.clone(), order);
        assert!(
            !is_known || inventory.children.contains(&row),
            "{id} is a child of {} and no row says so",
            parent.instance
        );
    }
}

/// When nothing is left to do, a row of a child is of a child that is there, unless a message about it waits behind a suspension: its
/// start behind that of another orchestration of its id, or the news that it is gone behind that of its parent.
pub(super) fn no_row_is_without_its_child(inventory: &Inventory) {
    let waits = |id: &String, is: &dyn Fn(&Order) -> bool| {
        let there = inventory.instances.get(id);
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
        let begun = inventory.instances.get(child).and_then(|record| record.start_order);
        assert_eq!(begun, Some(*order), "{child} is noted for {parent} and is gone");
    }
}

/// Whether an order lets a sub-orchestration of `parent` begin.
fn starts_for(parent: &str, order: &Order) -> bool {
    let start = match order {
        Order::Start(start) => Some(start),
        Order::Rewind { start, .. } => start.as_ref(),
        _ => None,
    };
    let of = start.and_then(|start| start.parent.as_ref());
    of.is_some_and(|of| of.instance == parent)
}

fn ids(inventory: &Inventory, is: impl Fn(&String) -> bool) -> BTreeSet<&String> {
    inventory.instances.keys().filter(|id| is(id)).collect()
}

/// Whoever waits for an activity or a timer has its row, or is about to be told of its end.
fn open_steps_have_rows(inventory: &Inventory, references: &BTreeMap<String, Reference>) {
    for (id, reference) in references {
        let record = &inventory.instances[id];
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
                "{id} waits for its step {sequence} and nothing is there of it: {step:?}"
            );
            assert!(
                !(has_row && comes),
                "the step {sequence} of {id} has ended and its row is there: {step:?}"
            );
        }
    }
}

/// Every row of an activity or a timer is wanted by an orchestration.
fn rows_have_open_steps(inventory: &Inventory, references: &BTreeMap<String, Reference>) {
    let is_wanted = |id: &String, sequence: u64, execution: &str| {
        let record = inventory
            .instances
            .get(id)
            .filter(|record| !record.status.is_terminal());
        let reference = references.get(id).filter(|reference| reference.steps.wants(sequence));
        record.is_some_and(|record| record.execution.to_string() == execution) && reference.is_some()
    };
    for (id, execution, sequence) in inventory.activities.keys() {
        assert!(
            is_wanted(id, *sequence, &execution.to_string()),
            "the activity {sequence} of {id} in {execution} belongs to nobody"
        );
    }
    for (id, name) in &inventory.timers {
        let belongs = match name.rsplit_once(':') {
            Some((execution, sequence)) => is_wanted(id, sequence.parse().expect("a number"), execution),
            None => {
                let begins_later =
                    |status| matches!(status, OrchestrationStatus::Pending | OrchestrationStatus::Suspended);
                inventory
                    .instances
                    .get(id)
                    .is_some_and(|record| record.turns == 0 && begins_later(record.status))
            }
        };
        assert!(belongs, "the timer {name} of {id} belongs to nobody");
    }
}
