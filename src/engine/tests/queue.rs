//! The limit of a queue, including across restarts.

use super::stage::{Stage, tally, with_number};
use crate::engine::Limits;

const QUEUE: usize = 10;

fn stage(queue_in_memory: usize) -> Stage {
    Stage::new(Limits {
        queue: QUEUE,
        queue_in_memory,
        ..Limits::default()
    })
}

/// Returns how many of 25 signals are accepted.
fn taken(stage: &mut Stage, id: &crate::id::InstanceId) -> usize {
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
