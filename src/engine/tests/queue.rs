//! The limit of a queue, including across restarts.

use super::counting;
use super::stage::{Stage, tally, with_number};
use crate::ErrorKind;
use crate::engine::Limits;
use crate::id::{InstanceId, PartitionId};
use crate::model::Action;
use crate::model::orchestration::Order;
use crate::schema;
use crate::store::Reader;

const QUEUE: usize = 10;

fn stage(queue_in_memory: usize) -> Stage {
    Stage::new(Limits {
        queue: QUEUE,
        queue_in_memory,
        ..Limits::default()
    })
}

/// Returns how many of 25 signals are accepted.
fn taken(stage: &mut Stage, id: &InstanceId) -> usize {
    let tokens: Vec<_> = (0..25).map(|_| stage.signal(id, with_number("add", 1))).collect();
    stage.settle();
    tokens.iter().filter(|token| stage.told(**token).is_ok()).count()
}

/// A held entity accepts as many messages as its queue allows. A restart does not make room for more.
#[test]
fn a_restart_makes_no_room_in_the_queue_of_a_held_entity() {
    for in_memory in [0, 3, 64] {
        let mut stage = stage(in_memory);
        let a = tally("a");
        stage.hold(&a);
        stage.reopen();
        assert_eq!(taken(&mut stage, &a), QUEUE);
        for _ in 0..3 {
            stage.reopen();
            assert_eq!(taken(&mut stage, &a), 0, "{in_memory} in memory");
        }
    }
}

/// The same is true for an entity whose slow `async` operation runs again with each open.
#[test]
fn a_restart_makes_no_room_in_the_queue_of_a_busy_entity() {
    for in_memory in [0, 3, 64] {
        let mut stage = stage(in_memory);
        let a = tally("a");
        stage.signal(&a, with_number("add_slowly", 100));
        stage.settle();
        assert_eq!(taken(&mut stage, &a), QUEUE);
        for _ in 0..3 {
            stage.reopen();
            stage.settle();
            assert_eq!(taken(&mut stage, &a), 0, "{in_memory} in memory");
        }
        stage.finish_async();
        stage.settle();
        assert_eq!(stage.sum(&a), 100 + QUEUE as u64);
        stage.signal(&a, with_number("add_slowly", 100));
        stage.settle();
        assert_eq!(taken(&mut stage, &a), QUEUE, "an empty queue has room again");
    }
}

/// One turn of an entity processes all messages that wait for it.
#[test]
fn one_step_processes_the_whole_queue() {
    let mut stage = stage(64);
    let a = tally("a");
    let tokens: Vec<_> = (0..5).map(|_| stage.signal(&a, with_number("add", 1))).collect();
    stage.step();
    assert_eq!(stage.sum(&a), 5);
    assert!(tokens.iter().all(|token| stage.told(*token).is_ok()));
}

/// More messages wait than the limit allows, because it was higher in an earlier life. There is room again only when
/// fewer messages wait than the limit.
#[test]
fn a_queue_beyond_its_limit_has_no_room_until_it_has_shrunk() {
    const WAITING: usize = 45;
    let entity = "@counter@a";
    let mut stage = counting::Stage::new(Limits {
        page: 4,
        ..Limits::default()
    });
    for _ in 0..=WAITING {
        stage.ask(entity, counting::operation("add_slowly", 1), false, None);
    }
    stage.settle();
    stage.limits.queue = QUEUE;
    stage.running.clear();
    stage.reopen();
    stage.settle();
    let add = |stage: &mut counting::Stage| {
        let token = stage.ask(entity, counting::operation("add", 1), false, None);
        stage.answer(token).unwrap()
    };
    for waiting in (QUEUE..=WAITING).rev() {
        assert_eq!(add(&mut stage), "full", "{waiting} messages wait");
        stage.finish_async();
        stage.settle();
    }
    assert_eq!(add(&mut stage), "accepted");
}

/// A message that sets a timer cannot become a dead letter, so it waits for a held entity even if the queue is full.
#[test]
fn a_timer_for_a_held_entity_is_not_lost() {
    let mut stage = stage(0);
    let a = tally("a");
    stage.hold(&a);
    stage.reopen();
    assert_eq!(taken(&mut stage, &a), QUEUE);
    stage.signal(&tally("b"), with_number("add_later", 1));
    stage.settle();
    let rows = |range| stage.model.keys(range, usize::MAX).unwrap().len();
    assert_eq!(rows(schema::dead_letter::all(PartitionId(0))), 0);
    assert_eq!(rows(schema::message::all(PartitionId(0))), QUEUE + 1);
}

/// The queue of a suspended orchestration refuses further events of clients. It accepts those of orchestrations, which
/// nobody would send again.
#[test]
fn a_suspended_orchestration_refuses_only_clients() {
    let mut stage = counting::Stage::new(Limits {
        queue: 3,
        ..Limits::default()
    });
    stage.start("o", 5, None).unwrap();
    let order = |stage: &mut counting::Stage, order| {
        let token = stage.ask("o", Action::Order(Box::new(order)), true, None);
        stage.answer(token).unwrap();
    };
    let reason = || "a client".to_owned();
    order(&mut stage, Order::Suspend { reason: reason() });
    for number in 10..13 {
        stage.raise("o", number, 0, None).unwrap();
    }
    assert_eq!(stage.raise("o", 13, 0, None), Err(ErrorKind::Overloaded));
    stage.start_teller(2).unwrap();
    assert_eq!(stage.result("teller").unwrap(), "null");
    order(&mut stage, Order::Resume { reason: reason() });
    assert_eq!(stage.result("o").unwrap(), "[10,11,12,0,1]");
}
