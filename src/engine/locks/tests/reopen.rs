//! Locks after a crash of the hub. The rows contain their whole state.

use super::stage::{Setting, Stage, Way};
use crate::id::InstanceId;

/// The life of three entities with three critical sections, one action after the other.
const LIFE: [fn(&mut Stage, &[InstanceId]); 14] = [
    |stage, entities| stage.take("a", 1, entities),
    |stage, entities| stage.take("b", 1, entities),
    |stage, entities| stage.take("c", 1, &entities[1..]),
    |stage, entities| stage.signal(&entities[0], "1"),
    |stage, entities| stage.call("d", 1, &entities[1], "note", "2", None),
    |stage, entities| stage.call("a", 2, &entities[0], "note", "owner", Some(1)),
    |stage, entities| stage.withdraw("b", 1, entities),
    |stage, entities| stage.signal(&entities[2], "3"),
    |stage, entities| stage.release("a", 1, entities),
    |stage, entities| stage.take("d", 2, &entities[2..]),
    |stage, entities| stage.call("c", 2, &entities[1], "note", "owner", Some(1)),
    |stage, entities| stage.signal(&entities[1], "4"),
    |stage, entities| stage.release("c", 1, &entities[1..]),
    |stage, entities| stage.withdraw("d", 2, &entities[2..]),
];

fn live(setting: Setting, goes_down_after: Option<usize>) -> (Vec<String>, Vec<Option<Vec<String>>>) {
    let mut stage = Stage::new(setting);
    let entities: [_; 3] = stage.entities();
    let mut orders = Vec::new();
    for (number, happen) in LIFE.iter().enumerate() {
        happen(&mut stage, &entities);
        stage.settle();
        if goes_down_after == Some(number) {
            let locks = stage.locks();
            stage.reopen();
            stage.settle();
            assert_eq!(stage.locks(), locks);
        }
        // Replies of different entities arrive in any order.
        let mut told = stage.orders();
        told.sort();
        orders.extend(told);
    }
    assert_eq!(stage.left(), [""; 0], "{setting:?} {goes_down_after:?}");
    (orders, entities.map(|id| stage.lines(&id)).to_vec())
}

/// A crash at any point does not change the results.
#[test]
fn a_reopened_hub_knows_its_locks() {
    for setting in Setting::all() {
        let (orders, lines) = live(setting, None);
        assert_eq!(
            orders,
            ["a 1: null", "a 2: 1", "c 1: null", "c 2: 1", "d 1: 2", "d 2: null"],
            "{setting:?}"
        );
        for number in 0..LIFE.len() {
            assert_eq!(
                live(setting, Some(number)),
                (orders.clone(), lines.clone()),
                "{setting:?} {number}"
            );
        }
    }
}

/// The cost of a lock does not depend on the number of entities of its section. The cost of a section is proportional
/// to its ids.
#[test]
fn a_lock_knows_its_owner_only() {
    let setting = Setting {
        cores: 1,
        way: Way::Fresh,
        small: false,
    };
    let mut stage = Stage::new(setting);
    let entities: [_; 1_000] = stage.entities();
    stage.take("a", 1, &entities[..1]);
    stage.settle();
    let of_one = stage.lock_bytes();
    stage.release("a", 1, &entities[..1]);
    stage.settle();
    let before = stage.logged;
    stage.take("a", 1, &entities);
    stage.settle();
    assert_eq!(stage.orders(), ["a 1: null"; 2]);
    assert_eq!(stage.lock_bytes(), 1_000 * of_one);
    assert!(stage.logged - before < 1_000 * 2 * of_one, "{}", stage.logged - before);
    let before = stage.logged;
    stage.reopen();
    stage.withdraw("a", 1, &entities);
    stage.settle();
    assert_eq!(stage.left(), [""; 0]);
    assert!(stage.logged - before < 1_000 * 2 * of_one, "{}", stage.logged - before);
}

/// An open finds priority messages before all waiting messages, of their own instance and of others.
#[test]
fn priority_rows_are_found_before_thousands_of_others() {
    for cores in [1, 2] {
        let setting = Setting {
            cores,
            way: Way::Delivered,
            small: false,
        };
        let mut stage = Stage::new(setting);
        let entities: [_; 3_000] = stage.entities();
        let (first, last) = (&entities[0], &entities[2_998]);
        stage.take("a", 1, std::slice::from_ref(first));
        stage.take("b", 1, std::slice::from_ref(last));
        stage.settle();
        for line in 0..3_000 {
            stage.leave(first, &line.to_string());
        }
        for entity in &entities[1..] {
            stage.leave(entity, "waits");
        }
        // Both messages are for the same core. They get rows, and the hub crashes before it examines them.
        stage.call("a", 2, first, "note", "owner", Some(1));
        stage.release("b", 1, std::slice::from_ref(last));
        stage.reopen();
        stage.step(0);
        assert_eq!(stage.orders(), ["a 1: null", "b 1: null", "a 2: 1"]);
        assert_eq!(stage.locks(), [(first.clone(), "a 1".to_owned())]);
        stage.settle();
        assert_eq!(stage.lines(first).unwrap(), ["owner"]);
        assert_eq!(stage.lines(last).unwrap(), ["waits"]);
        stage.release("a", 1, std::slice::from_ref(first));
        stage.settle();
        let lines = stage.lines(first).unwrap();
        let in_order = (0..3_000).map(|line| line.to_string());
        assert!(
            lines
                .into_iter()
                .eq(std::iter::once("owner".to_owned()).chain(in_order))
        );
        assert_eq!(stage.left(), [""; 0]);
    }
}
