//! The memory of a core is bounded in bytes, regardless of the contents of the store.

use super::stage::{Stage, tally, with_number, with_text};
use crate::engine::Limits;
use crate::model::Action;
use crate::time::Timestamp;

const KIB: usize = 1 << 10;

/// Size of one payload in these tests.
const LARGE: usize = 50 * KIB;

fn limits() -> Limits {
    Limits {
        queue_bytes: 1_000 * KIB,
        page_bytes: 256 * KIB,
        batch_bytes: 1_000 * KIB,
        cache_bytes: 0,
        ..Limits::default()
    }
}

/// Many entities run an `async` operation, and large signals wait behind each of them. Only as many as there is room
/// for are in memory, in this life and the next, and all of them take effect.
#[test]
fn messages_behind_running_operations_are_bounded_in_bytes() {
    const ENTITIES: usize = 40;
    const SIGNALS: usize = 16;
    let mut stage = Stage::new(limits());
    let ids: Vec<_> = (0..ENTITIES).map(|n| tally(&n.to_string())).collect();
    for id in &ids {
        stage.signal(id, with_number("add_slowly", 1_000));
    }
    stage.settle();
    assert_eq!(stage.running(), ENTITIES);
    for _ in 0..SIGNALS {
        for id in &ids {
            stage.signal(id, with_text("note", LARGE));
            stage.step();
        }
    }
    stage.settle();
    let check = |stage: &Stage| {
        let (waiting, read) = (stage.most_waiting / KIB, stage.most_read.get() / KIB);
        assert!(waiting <= 1_060, "{waiting} KiB of messages wait in memory");
        assert!(read <= 310, "{read} KiB were read at once");
    };
    check(&stage);
    stage.reopen();
    stage.settle();
    check(&stage);
    stage.finish_async();
    stage.settle();
    check(&stage);
    for id in &ids {
        assert_eq!(stage.sum(id), 1_000 + SIGNALS as u64, "{id}");
    }
}

/// Messages that wait behind a running operation stay in memory while there is room, so their rows are not read.
#[test]
fn messages_stay_in_memory_while_there_is_room() {
    let mut stage = Stage::new(limits());
    let a = tally("a");
    stage.signal(&a, with_number("add_slowly", 1));
    stage.settle();
    for _ in 0..4 {
        stage.signal(&a, with_text("note", LARGE));
        stage.settle();
    }
    stage.finish_async();
    stage.settle();
    assert_eq!(stage.sum(&a), 5);
    assert!(
        stage.most_read.get() < LARGE,
        "{} bytes were read",
        stage.most_read.get()
    );
}

/// Messages that a step could not process stay in memory only as far as there is room. None is lost or overtaken.
#[test]
fn what_a_full_step_leaves_is_bounded_in_bytes() {
    let mut stage = Stage::new(Limits {
        batch_operations: 1,
        ..limits()
    });
    let a = tally("a");
    for n in 0..100 {
        let action = Action::Schedule {
            timer: format!("t{n}"),
            due: Timestamp(2_000),
            operation: "note".into(),
            arguments: match with_text("note", LARGE) {
                Action::Operation { arguments, .. } => arguments,
                _ => unreachable!(),
            },
        };
        stage.signal(&a, action);
        stage.settle();
    }
    stage.now = 2_000;
    stage.settle();
    assert_eq!(stage.sum(&a), 100);
    let (waiting, read) = (stage.most_waiting / KIB, stage.most_read.get() / KIB);
    assert!(waiting <= 1_310, "{waiting} KiB of messages wait in memory");
    assert!(read <= 310, "{read} KiB were read at once");
}

/// Many large timers are due when a hub opens. They fire a few at a time, and all of them fire.
#[test]
fn large_timers_that_are_due_at_open_are_read_a_few_at_a_time() {
    let mut stage = Stage::new(limits());
    for n in 0..100 {
        let Action::Operation { operation, arguments } = with_text("note", LARGE) else {
            unreachable!()
        };
        let action = Action::Schedule {
            timer: "t".into(),
            due: Timestamp(2_000),
            operation,
            arguments,
        };
        stage.signal(&tally(&n.to_string()), action);
    }
    stage.settle();
    stage.reopen();
    (stage.most_read, stage.most_waiting) = Default::default();
    stage.now = 3_000;
    stage.settle();
    for n in 0..100 {
        assert_eq!(stage.sum(&tally(&n.to_string())), 1, "{n}");
    }
    let (waiting, read) = (stage.most_waiting / KIB, stage.most_read.get() / KIB);
    assert!(waiting <= 1_060, "{waiting} KiB of messages wait in memory");
    assert!(read <= 310, "{read} KiB were read at once");
}

/// Many entities with large states become ready together. Their states are not all read at once.
#[test]
fn large_states_are_read_a_few_at_a_time() {
    let mut stage = Stage::new(limits());
    for n in 0..100 {
        stage.signal(&tally(&n.to_string()), with_text("keep", LARGE));
    }
    stage.settle();
    stage.reopen();
    stage.most_read = Default::default();
    for n in 0..100 {
        stage.signal(&tally(&n.to_string()), with_number("add", 1));
    }
    stage.settle();
    for n in 0..100 {
        assert_eq!(stage.sum(&tally(&n.to_string())), 2, "{n}");
    }
    let read = stage.most_read.get() / KIB;
    assert!(read <= 1_060, "{read} KiB were read at once");
}
