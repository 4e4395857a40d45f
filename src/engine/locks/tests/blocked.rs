//! Entities that run no operations: held, unreadable, or of an unregistered type.

use super::stage::{Setting, Stage};
use crate::id::InstanceId;

/// The reason why an entity runs no operations.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Held,
    Unregistered,
    Unreadable,
}

impl Cause {
    const ALL: [Self; 3] = [Self::Held, Self::Unregistered, Self::Unreadable];

    fn begin(self, stage: &mut Stage, entity: &InstanceId) {
        match self {
            Self::Held => {
                stage.held.insert(entity.clone());
            }
            Self::Unregistered => stage.registered = false,
            Self::Unreadable => stage.damage(entity),
        }
        stage.reopen();
        stage.settle();
    }

    fn end(self, stage: &mut Stage, entity: &InstanceId) {
        match self {
            Self::Held => stage.resume(entity),
            Self::Unregistered => {
                stage.registered = true;
                stage.reopen();
            }
            Self::Unreadable => {
                stage.mend(entity);
                stage.reopen();
            }
        }
        stage.settle();
    }
}

/// Calls of orchestrations wait and do not fail, even if the queue is full. The end of a lock is processed. When the
/// entity runs again, all messages are processed.
#[test]
fn calls_wait_and_releases_do_not() {
    for setting in Setting::all() {
        for cause in Cause::ALL {
            let case = format!("{setting:?} {cause:?}");
            let mut stage = Stage::new(setting);
            stage.limits.queue = 1;
            stage.reopen();
            let [entity] = stage.entities();
            let entities = [entity.clone()];
            stage.take("a", 1, &entities);
            stage.settle();
            stage.take("b", 1, &entities);
            stage.call("c", 1, &entity, "note", "1", None);
            stage.settle();
            cause.begin(&mut stage, &entity);
            assert_eq!(stage.orders(), ["a 1: null"], "{case}");
            stage.call("c", 2, &entity, "note", "2", None);
            stage.call("a", 2, &entity, "note", "owner", Some(1));
            stage.settle();
            assert_eq!(stage.orders(), [""; 0], "{case}");
            assert_eq!(stage.locks().len(), 1, "{case}");
            stage.release("a", 1, &entities);
            stage.settle();
            assert_eq!(stage.locks(), [], "{case}");
            let forced = stage.force(&entity);
            stage.settle();
            assert_eq!(stage.told(forced), Some("false"), "{case}");
            stage.reopen();
            stage.settle();
            assert_eq!(stage.orders(), [""; 0], "{case}");
            cause.end(&mut stage, &entity);
            assert_eq!(stage.orders(), ["a 2: LockLost", "b 1: null"], "{case}");
            stage.release("b", 1, &entities);
            stage.settle();
            assert_eq!(stage.orders(), ["c 1: 1", "c 2: 2"], "{case}");
            assert_eq!(stage.lines(&entity).unwrap(), ["1", "2"], "{case}");
            assert_eq!(stage.left(), [""; 0], "{case}");
        }
    }
}

/// The lock of a blocked entity without a state ends like any other, and an operator can release it. No rows are left.
#[test]
fn locks_of_entities_without_a_state_end() {
    for setting in Setting::all() {
        for cause in [Cause::Held, Cause::Unregistered] {
            for force in [false, true] {
                let case = format!("{setting:?} {cause:?} by force: {force}");
                let mut stage = Stage::new(setting);
                let entities: [_; 2] = stage.entities();
                stage.take("a", 1, &entities);
                stage.settle();
                cause.begin(&mut stage, &entities[0]);
                if force {
                    stage.force(&entities[0]);
                    stage.release("a", 1, &entities[1..]);
                } else {
                    stage.release("a", 1, &entities);
                }
                stage.settle();
                assert_eq!(stage.left(), [""; 0], "{case}");
            }
        }
    }
}

/// A request waits at a blocked entity, and a release finds it there.
#[test]
fn a_request_can_be_taken_back_at_a_blocked_entity() {
    for setting in Setting::all() {
        for cause in Cause::ALL {
            for before in [0, 4] {
                let case = format!("{setting:?} {cause:?} behind {before}");
                let mut stage = Stage::new(setting);
                let entities: [_; 2] = stage.entities();
                cause.begin(&mut stage, &entities[1]);
                for line in 0..before {
                    stage.signal(&entities[1], &line.to_string());
                }
                stage.settle();
                stage.take("b", 1, &entities[1..]);
                stage.settle();
                assert_eq!(stage.locks(), [], "{case}");
                stage.withdraw("b", 1, &entities[1..]);
                stage.settle();
                assert_eq!(stage.locks(), [], "{case}");
                cause.end(&mut stage, &entities[1]);
                assert_eq!(stage.orders(), [""; 0], "{case}");
                assert_eq!(stage.left(), [""; 0], "{case}");
            }
        }
    }
}

/// A request that became a row in the same step is found in the next one.
#[test]
fn a_request_that_has_just_become_a_row_is_found() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let entities: [_; 3] = stage.entities();
        let (through, held) = (&entities[0], &entities[2]);
        Cause::Held.begin(&mut stage, held);
        for line in ["1", "2", "3"] {
            stage.signal(held, line);
        }
        stage.settle();
        stage.take("b", 1, std::slice::from_ref(held));
        // The release arrives through another entity, whose turn follows that of the held one in the same step.
        stage.withdraw("b", 1, &[through.clone(), held.clone()]);
        stage.settle();
        Cause::Held.end(&mut stage, held);
        assert_eq!(stage.orders(), [""; 0], "{setting:?}");
        assert_eq!(stage.lines(held).unwrap(), ["1", "2", "3"]);
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}
