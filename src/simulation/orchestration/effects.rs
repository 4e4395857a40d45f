//! Checks that work that orchestrations requested from entities took effect once, and in order.

use std::collections::BTreeMap;

use super::observations::{Ask, Observations};
use super::program::is_of_orchestration;
use crate::simulation::survey::Survey;
use crate::simulation::world::World;

/// Checks that only requested work was done, and no more often than requested.
pub(super) fn at_most_once(world: &World, survey: &Survey) {
    let errands = &world.observations.errands;
    for (work, count) in survey.errands_done() {
        let asks = errands.get(&work).map(Vec::as_slice).unwrap_or_default();
        assert!(!asks.is_empty(), "the work {work} was done but no history requests it");
        // A rewound history draws the same numbers again, possibly for another entity and another end.
        let fine = asks.iter().filter(|ask| world.is_done(ask.end) != Some(false)).count();
        assert!(count <= fine, "the work {work} was done {count} times: {asks:?}");
    }
    for (id, log) in &survey.logs {
        for entry in log.iter().flatten().filter(|entry| is_of_orchestration(entry.id)) {
            let is_target = errands[&entry.id].iter().any(|ask| ask.target == *id);
            assert!(is_target, "the work {} was done by another entity", entry.id);
        }
    }
}

/// Returns work that was requested again, so that it is a new message.
pub(in crate::simulation) fn repeated(world: &World) -> impl Iterator<Item = u64> {
    let errands = world.observations.errands.iter();
    errands.filter(|(_, asks)| asks.len() > 1).map(|(work, _)| *work)
}

/// Checks that requested work was done once.
pub(super) fn exactly_once(world: &World, survey: &Survey) {
    at_most_once(world, survey);
    let done = survey.errands_done();
    for (work, asks) in &world.observations.errands {
        let answers: Vec<bool> = asks.iter().filter_map(|ask| world.observations.answer(ask)).collect();
        let is_fine = asks.iter().all(|ask| world.is_done(ask.end) == Some(true));
        let may_be_fine = asks.iter().all(|ask| world.is_done(ask.end) != Some(false));
        // A call of a critical section may arrive after the end of the lock, and a bad build may have refused a call.
        let is_free = asks.iter().all(|ask| !ask.locked) && !world.profile.bad_builds;
        let is_sure = (may_be_fine && answers.contains(&true)) || (is_fine && answers.is_empty() && is_free);
        assert!(
            !is_sure || done.contains_key(work),
            "the work {work} was not done: {asks:?} {answers:?}"
        );
    }
    in_order(world, survey);
    not_early(world, survey);
}

/// Checks that work that one orchestration requested from one entity was done in the order of requests.
fn in_order(world: &World, survey: &Survey) {
    let errands = &world.observations.errands;
    for (receiver, log) in &survey.logs {
        if world.disordered_logs.contains(receiver) {
            continue;
        }
        let mut last: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for entry in log.iter().flatten().filter(|entry| is_of_orchestration(entry.id)) {
            let asks = &errands[&entry.id];
            // Repeated requests of a rewound history, scheduled work and dead letters have no place in the order.
            let [ask] = asks.as_slice() else { continue };
            if ask.at.is_some() || world.disordered.contains(&entry.id) {
                continue;
            }
            let place = (ask.serial, entry.id);
            if let Some(before) = last.insert(&ask.instance, place) {
                assert!(
                    before < place,
                    "the order from {} to {receiver}: {before:?} before {place:?}",
                    ask.instance
                );
            }
        }
    }
}

/// Checks that no scheduled work was done before its time.
fn not_early(world: &World, survey: &Survey) {
    for entry in survey.logs.values().flatten().flatten() {
        let Some([ask]) = world.observations.errands.get(&entry.id).map(Vec::as_slice) else {
            continue;
        };
        let is_early = ask.at.is_some_and(|due| entry.at < due) && !world.clock_was_set_back;
        assert!(
            !is_early,
            "the work {} was done too early, at {}: {ask:?}",
            entry.id, entry.at
        );
    }
}

impl Observations {
    /// Returns whether a call was answered, or `None` if it has not ended.
    fn answer(&self, ask: &Ask) -> Option<bool> {
        let step = (ask.instance.clone(), ask.execution, ask.sequence);
        self.answers.get(&step).map(|(_, answered)| *answered)
    }
}
