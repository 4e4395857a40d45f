//! Early events are bounded in number and bytes, and delivered once, in order and in pages.

use super::*;
use crate::engine::Limits;
use crate::engine::tests::counting::Stage;
use crate::model::Action;

const HOUR: u64 = 3_600_000;
const PARTITION: PartitionId = PartitionId(0);
const MIB: usize = 1 << 20;

fn small() -> Limits {
    Limits {
        early_events: 10,
        early_bytes: 1_000,
        ..Limits::default()
    }
}

/// Asserts that no early events are left.
#[track_caller]
fn nothing_is_left(stage: &Stage) {
    let counters = stage.counters();
    assert_eq!((counters.early_events, counters.early_bytes), (0, 0));
    let id = InstanceId::trusted("o");
    let left = [
        schema::early::events(PARTITION),
        schema::early::places_of(PARTITION, &id),
        schema::early::expiries(PARTITION),
        schema::early::all_left(PARTITION),
        schema::early::count_key(PARTITION, &id)..schema::behind(schema::early::count_key(PARTITION, &id)),
    ];
    assert_eq!(left.map(|range| stage.count(range)), [0; 5]);
}

/// An open, and the searches after it, read no events. They read little data, however large the events are.
#[test]
fn an_open_reads_no_event() {
    let mut stage = Stage::new(Limits::default());
    for number in 0..200 {
        let kept = stage.raise(&format!("o-{}", number % 20), number, MIB / 8, Some(HOUR));
        assert_eq!(kept.unwrap(), "true");
    }
    stage.most_read = 0;
    stage.reopen();
    for _ in 0..10 {
        stage.now += 60_000;
        stage.add("@counter@a", 1, &stage.now.to_string()).unwrap();
    }
    stage.now += HOUR;
    stage.settle();
    assert!(
        stage.most_read < MIB / 16,
        "{} bytes were read in one step",
        stage.most_read
    );
    nothing_is_left(&stage);
}

/// Events that exceed one turn, in number or in bytes, are delivered in several turns and before later events. A reopen
/// between any two steps does not change this.
#[test]
fn many_events_before_a_start_are_told_in_pages() {
    for (count, bytes) in [(2_500, 0), (60, MIB / 4)] {
        for reopens in [false, true] {
            let mut stage = Stage::new(Limits::default());
            for number in 0..count {
                stage.raise("o", number, bytes, Some(HOUR)).unwrap();
            }
            stage.most_read = 0;
            stage.send_start("o", count + 1, None);
            stage.step();
            let left = stage.counters().early_events;
            assert!(
                0 < left && left < count as u64,
                "{left} events are left after the first turn"
            );
            assert!(
                stage.most_read < 5 * MIB,
                "{} bytes were read in one step",
                stage.most_read
            );
            stage.send_event("o", count, 0, None);
            while stage.core.has_work(Timestamp(stage.now)) {
                stage.step();
                if reopens {
                    stage.reopen();
                }
            }
            // The client sends an event again that was in transit during the crash. If it had arrived, the
            // orchestration has ended.
            stage.raise("o", count, 0, None).ok();
            let all: Vec<usize> = (0..=count).collect();
            assert_eq!(stage.result("o").unwrap(), serde_json::to_string(&all).unwrap());
            nothing_is_left(&stage);
        }
    }
}

/// A start and an event arrive together, after another event. The first turn receives both events.
#[test]
fn an_event_that_arrives_with_the_start_follows_earlier_ones() {
    let mut stage = Stage::new(Limits::default());
    stage.raise("o", 0, 0, Some(HOUR)).unwrap();
    stage.send_event("o", 1, 0, Some(HOUR));
    stage.start("o", 2, None).unwrap();
    assert_eq!(stage.result("o").unwrap(), "[0,1]");
    nothing_is_left(&stage);
}

/// An event that is delivered late because of others still counts as being in time. An event that expired before the
/// start is not delivered.
#[test]
fn what_was_in_time_at_the_start_is_told() {
    let mut stage = Stage::new(Limits {
        batch_operations: 1,
        ..Limits::default()
    });
    stage.raise("o", 0, 0, Some(10)).unwrap();
    for number in 1..=1_500 {
        stage.raise("o", number, 0, Some(1_000)).unwrap();
    }
    stage.now += 999;
    stage.send_start("o", 1_500, None);
    stage.step();
    assert!(stage.counters().early_events > 0);
    stage.now += HOUR;
    let all: Vec<usize> = (1..=1_500).collect();
    assert_eq!(stage.result("o").unwrap(), serde_json::to_string(&all).unwrap());
    nothing_is_left(&stage);
}

/// An orchestration that ends before it has received all events drops the rest. The next one with its id receives none
/// of them.
#[test]
fn what_is_left_of_an_orchestration_is_not_for_the_next_one() {
    let mut stage = Stage::new(Limits::default());
    for number in 0..2_000 {
        stage.raise("o", number, 0, Some(HOUR)).unwrap();
    }
    stage.start("o", 3, None).unwrap();
    assert_eq!(stage.result("o").unwrap(), "[0,1,2]");
    nothing_is_left(&stage);
    stage.start("o", 1, None).unwrap();
    stage.raise("o", 5, 0, None).unwrap();
    assert_eq!(stage.result("o").unwrap(), "[5]");
    // Terminating an orchestration that has not begun drops them as well.
    stage.raise("o", 6, 0, Some(HOUR)).ok();
    let later = Timestamp(stage.now + HOUR);
    stage.start("o", 1, Some(later)).unwrap();
    stage.raise("o", 7, 0, None).unwrap();
    let order = Order::Terminate {
        reason: "over".into(),
        children: true,
    };
    let token = stage.ask("o", Action::Order(Box::new(order)), true, None);
    stage.answer(token).unwrap();
    nothing_is_left(&stage);
}

/// A partition keeps a limited number of events and bytes, and one orchestration half of that.
#[test]
fn events_before_a_start_are_bounded_in_number_and_bytes() {
    let mut stage = Stage::new(small());
    for number in 0..5 {
        stage.raise("one", number, 0, Some(HOUR)).unwrap();
    }
    assert_eq!(stage.raise("one", 5, 0, Some(HOUR)).unwrap_err(), ErrorKind::Overloaded);
    for number in 0..5 {
        stage.raise(&format!("other-{number}"), number, 0, Some(HOUR)).unwrap();
    }
    assert_eq!(
        stage.raise("another", 0, 0, Some(HOUR)).unwrap_err(),
        ErrorKind::Overloaded
    );
    let mut stage = Stage::new(small());
    stage.raise("one", 0, 450, Some(HOUR)).unwrap();
    assert_eq!(
        stage.raise("one", 0, 100, Some(HOUR)).unwrap_err(),
        ErrorKind::Overloaded
    );
    stage.raise("two", 0, 450, Some(HOUR)).unwrap();
    assert_eq!(
        stage.raise("three", 0, 100, Some(HOUR)).unwrap_err(),
        ErrorKind::Overloaded
    );
    stage.start("one", 1, None).unwrap();
    stage.raise("three", 0, 100, Some(HOUR)).unwrap();
}

/// Events of an orchestration to one that waits for its start time are kept even beyond the limits. Only clients can be
/// asked to retry.
#[test]
fn an_event_of_an_instance_is_kept_beyond_the_bounds() {
    let mut stage = Stage::new(small());
    let later = Timestamp(stage.now + HOUR);
    stage.start("o", 12, Some(later)).unwrap();
    stage.start_teller(12).unwrap();
    assert_eq!(stage.raise("o", 12, 0, None).unwrap_err(), ErrorKind::Overloaded);
    stage.now += HOUR;
    let all: Vec<usize> = (0..12).collect();
    assert_eq!(stage.result("o").unwrap(), serde_json::to_string(&all).unwrap());
    nothing_is_left(&stage);
}

/// Each event expires at its own time, regardless of the order of arrival, and makes room.
#[test]
fn events_that_expired_make_room() {
    let mut stage = Stage::new(small());
    for number in 0..10 {
        let keep = HOUR * (10 - number as u64);
        stage.raise(&format!("o-{number}"), number, 0, Some(keep)).unwrap();
    }
    for left in (0..10).rev() {
        stage.now += HOUR;
        stage.settle();
        assert_eq!(stage.counters().early_events, left);
    }
    assert_eq!(stage.count(schema::early::events(PARTITION)), 0);
    assert_eq!(stage.count(schema::early::expiries(PARTITION)), 0);
}
