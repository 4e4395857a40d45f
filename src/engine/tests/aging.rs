//! Expiry under correct and wrong clocks.

use super::counting::{self, operation};
use super::stage::{Stage, arguments, tally};
use crate::engine::Limits;
use crate::id::{InstanceId, PartitionId};
use crate::model::Action;
use crate::schema;
use crate::store::Reader;
use std::time::Duration;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// Lead of the clock while it is wrong.
const AHEAD: u64 = 3_650 * DAY;
const PARTITION: PartitionId = PartitionId(0);

/// Begins the next life of the hub, an hour after the last one, with a clock that is ahead or correct.
fn next_life(stage: &mut counting::Stage, is_ahead: bool) {
    let was_ahead = stage.now > AHEAD;
    stage.now += HOUR;
    match (was_ahead, is_ahead) {
        (false, true) => stage.now += AHEAD,
        (true, false) => stage.now -= AHEAD,
        _ => {}
    }
    stage.reopen();
    stage.settle();
}

/// Creates a dead letter of an entity.
fn bury(stage: &mut counting::Stage, entity: &str) {
    stage.ask(entity, operation("add_slowly", 1), true, None);
    stage.settle();
    stage.ask(entity, operation("multiply", 2), false, None);
    stage.settle();
    stage.finish_async();
    stage.settle();
}

/// Returns the numbers of request ids, dead letters and early events.
fn kept(stage: &counting::Stage) -> [u64; 3] {
    let counters = stage.counters();
    [counters.requests, counters.dead_letters, counters.early_events]
}

/// A clock that alternates between wrong and correct deletes nothing early. Rows written under the wrong clock expire
/// on time by the correct clock, across restarts and regardless of later rows.
#[test]
fn a_clock_that_is_wrong_now_and_then_neither_deletes_nor_keeps() {
    let limits = Limits {
        request_retention: Duration::from_millis(7 * DAY),
        dead_letter_retention: Duration::from_millis(7 * DAY),
        ..Limits::default()
    };
    let mut stage = counting::Stage::new(limits);
    let mut lives = 0;
    for is_ahead in [false, true, true, false, true, false] {
        next_life(&mut stage, is_ahead);
        lives += 1;
        stage.add("@counter@a", 1, &lives.to_string()).unwrap();
        bury(&mut stage, &format!("@counter@{lives}"));
        stage.raise(&format!("o-{lives}"), 1, 0, Some(7 * DAY)).unwrap();
        for _ in 0..2 {
            assert_eq!(kept(&stage), [lives; 3], "something is gone after life {lives}");
            stage.now += HOUR / 4;
            stage.settle();
        }
    }
    // The hub is opened once a day.
    for day in 1..=8 {
        stage.now += DAY - 3 * HOUR;
        next_life(&mut stage, false);
        // No commit is written in the meantime, so each open finds the clock far ahead.
        stage.now += 2 * HOUR;
        stage.settle();
        if day < 6 {
            assert_eq!(kept(&stage), [lives; 3], "something is gone on day {day}");
        }
    }
    assert_eq!(
        kept(&stage),
        [0; 3],
        "something stays because of a clock that was wrong"
    );
}

/// At the limit, the oldest request ids are deleted first. Ids written under a clock that was ahead have their place
/// among them.
#[test]
fn at_the_cap_ids_from_a_wrong_clock_go_in_their_turn() {
    let limits = Limits {
        requests: 30,
        page: 4,
        ..Limits::default()
    };
    let mut stage = counting::Stage::new(limits);
    let mut ids = Vec::new();
    for is_ahead in [false, true, false, true, false] {
        next_life(&mut stage, is_ahead);
        for _ in 0..10 {
            let id = ids.len().to_string();
            stage.add("@counter@a", 1, &id).unwrap();
            ids.push(schema::request::key(PARTITION, &InstanceId::trusted("@counter@a"), &id));
            stage.now += 100;
        }
    }
    stage.now += 2 * 60_000;
    stage.settle();
    for n in 0..8 {
        stage.add("@counter@b", 1, &n.to_string()).unwrap();
        stage.settle();
    }
    let known: Vec<bool> = ids.iter().map(|key| stage.model.get(key).unwrap().is_some()).collect();
    let first = known.iter().position(|known| *known).unwrap();
    assert!((20..30).contains(&first), "{first} ids were deleted");
    assert!(known[first..].iter().all(|known| *known), "a younger id was deleted");
}

/// One open under a clock that is ten years ahead deletes no request id, so a retry has no second effect. When the hub
/// has been open for an hour, the clock is trusted.
#[test]
fn a_clock_in_doubt_forgets_no_request() {
    let limits = Limits {
        request_retention: Duration::from_millis(HOUR),
        ..Limits::default()
    };
    let mut stage = Stage::new(limits);
    let id = tally("t");
    let add = || Action::Operation {
        operation: "add".into(),
        arguments: arguments(1),
    };
    let ask = |stage: &mut Stage| {
        stage.request(&id, add(), "r");
        stage.settle();
        stage.sum(&id)
    };
    assert_eq!(ask(&mut stage), 1);
    stage.reopen_after(10 * 365 * 24 * HOUR);
    stage.settle();
    assert_eq!(ask(&mut stage), 1);
    stage.now += HOUR / 2;
    assert_eq!(ask(&mut stage), 1);
    stage.now += HOUR;
    stage.settle();
    assert_eq!(ask(&mut stage), 2);
}

/// The search for events that arrived under a wrong clock is over when it is due, so the core becomes idle again.
#[test]
fn a_search_for_misdated_events_ends() {
    let mut stage = counting::Stage::new(Limits::default());
    next_life(&mut stage, true);
    stage.raise("o", 7, 0, Some(7 * DAY)).unwrap();
    next_life(&mut stage, false);
    for _ in 0..3 {
        stage.now = stage.core.next_wake().unwrap().0;
        stage.step();
        assert!(
            stage.core.next_wake().unwrap().0 > stage.now,
            "the search at {} is repeated at once",
            stage.now
        );
    }
    assert_eq!(kept(&stage)[2], 1);
}

/// An early event that is within its time to live is delivered in a life whose clock is far ahead.
#[test]
fn a_clock_in_doubt_delivers_events_before_a_start() {
    let mut stage = counting::Stage::new(Limits::default());
    stage.raise("o", 7, 0, Some(DAY)).unwrap();
    next_life(&mut stage, true);
    stage.start("o", 1, None).unwrap();
    assert_eq!(stage.result("o").unwrap(), "[7]");
}
