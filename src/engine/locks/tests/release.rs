//! The end of a lock whose request was granted, is on its way, waits in a queue, or was lost.

use super::stage::{Setting, Stage};

/// A release before the grant follows its request to the entity where it waits. The messages before and behind it there
/// do not matter, and neither does whether the queue is in memory. All other requests are granted.
#[test]
fn a_release_finds_its_request_wherever_it_waits() {
    for setting in Setting::all() {
        for place in 0..3 {
            for before in [0, 1, 5] {
                for goes_down in [false, true] {
                    let case = format!("{setting:?}, waits at {place} behind {before}, goes down: {goes_down}");
                    let mut stage = Stage::new(setting);
                    let entities: [_; 3] = stage.entities();
                    let blocked = std::slice::from_ref(&entities[place]);
                    stage.take("b", 1, blocked);
                    stage.settle();
                    let mut lines = Vec::new();
                    for line in 0..before {
                        stage.signal(&blocked[0], &format!("before {line}"));
                        lines.push(format!("before {line}"));
                    }
                    stage.take("a", 1, &entities);
                    stage.settle();
                    for line in 0..3 {
                        stage.signal(&blocked[0], &format!("behind {line}"));
                        lines.push(format!("behind {line}"));
                    }
                    stage.take("c", 1, blocked);
                    stage.settle();
                    assert_eq!(stage.locks().len(), place + 1, "{case}");
                    assert_eq!(stage.orders(), ["b 1: null"], "{case}");
                    if goes_down {
                        stage.reopen();
                    }
                    stage.withdraw("a", 1, &entities);
                    stage.settle();
                    assert_eq!(stage.locks(), [(blocked[0].clone(), "b 1".to_owned())], "{case}");
                    stage.release("b", 1, blocked);
                    stage.settle();
                    assert_eq!(stage.orders(), ["c 1: null"], "{case}");
                    stage.release("c", 1, blocked);
                    stage.settle();
                    assert_eq!(stage.lines(&blocked[0]).unwrap(), lines, "{case}");
                    assert_eq!(stage.left(), [""; 0], "{case}");
                }
            }
        }
    }
}

/// A release that is sent right after its request never overtakes it, so no lock remains.
#[test]
fn a_release_never_overtakes_its_request() {
    for setting in Setting::all() {
        for place in 0..4 {
            for steps in 0..5 {
                let case = format!("{setting:?}, waits at {place}, {steps} steps between");
                let mut stage = Stage::new(setting);
                let entities: [_; 3] = stage.entities();
                let blocked = entities.get(place).map_or(&[][..], std::slice::from_ref);
                if !blocked.is_empty() {
                    stage.take("b", 1, blocked);
                    stage.settle();
                    stage.signal(&blocked[0], "1");
                }
                stage.take("a", 1, &entities);
                for step in 0..steps {
                    stage.step(step % usize::from(setting.cores));
                }
                stage.withdraw("a", 1, &entities);
                stage.settle();
                assert_eq!(stage.locks().len(), blocked.len(), "{case}");
                stage.release("b", 1, blocked);
                stage.settle();
                assert_eq!(stage.left(), [""; 0], "{case}");
            }
        }
    }
}

/// If an operator releases a lock, the owner is notified, and the operator learns whether there was a lock. Further
/// calls of the owner fail, and the entity continues with the next waiting request.
#[test]
fn a_lock_that_is_released_by_force_is_lost() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let entities: [_; 2] = stage.entities();
        let none = stage.force(&entities[1]);
        stage.take("a", 1, &entities);
        stage.settle();
        stage.take("b", 1, &entities[1..]);
        stage.settle();
        assert_eq!(stage.told(none), Some("false"));
        let forced = stage.force(&entities[1]);
        stage.settle();
        assert_eq!(stage.told(forced), Some("true"), "{setting:?}");
        let lost = format!("a lost 1 of {}", entities[1]);
        assert_eq!(stage.orders(), ["a 1: null", &lost, "b 1: null"], "{setting:?}");
        stage.call("a", 2, &entities[1], "note", "1", Some(1));
        stage.call("a", 3, &entities[0], "note", "2", Some(1));
        stage.settle();
        let mut told = stage.orders();
        told.sort();
        assert_eq!(told, ["a 2: LockLost", "a 3: 1"], "{setting:?}");
        stage.release("a", 1, &entities);
        stage.settle();
        assert_eq!(stage.locks(), [(entities[1].clone(), "b 1".to_owned())], "{setting:?}");
        stage.release("b", 1, &entities[1..]);
        stage.settle();
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}

/// A request that has moved on from an entity is found even if its lock there was released by force.
#[test]
fn a_release_follows_its_request_past_a_lost_lock() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let entities: [_; 3] = stage.entities();
        stage.take("b", 1, &entities[2..]);
        stage.settle();
        stage.take("a", 1, &entities);
        stage.settle();
        stage.force(&entities[0]);
        stage.settle();
        let lost = format!("a lost 1 of {}", entities[0]);
        assert_eq!(stage.orders(), ["b 1: null", &lost], "{setting:?}");
        stage.withdraw("a", 1, &entities);
        stage.settle();
        assert_eq!(stage.locks(), [(entities[2].clone(), "b 1".to_owned())], "{setting:?}");
        stage.release("b", 1, &entities[2..]);
        stage.settle();
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}

/// Another request, execution or instance is not the owner, however similar it is.
#[test]
fn only_the_owner_passes_and_releases() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let [entity] = stage.entities();
        let entities = [entity.clone()];
        stage.take("a", 1, &entities);
        stage.settle();
        stage.call("a", 3, &entity, "note", "1", Some(2));
        stage.call("b", 3, &entity, "note", "1", Some(1));
        stage.release("a", 2, &entities);
        stage.release("b", 1, &entities);
        stage.settle();
        assert_eq!(
            stage.orders(),
            ["a 1: null", "a 3: LockLost", "b 3: LockLost"],
            "{setting:?}"
        );
        assert_eq!(stage.locks().len(), 1);
        assert_eq!(stage.lines(&entity), None);
    }
}
