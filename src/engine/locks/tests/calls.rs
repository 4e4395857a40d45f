//! Calls by orchestrations: the caller receives every outcome exactly once.

use super::stage::{Setting, Stage};
use crate::model::Action;

/// Every outcome of an operation completes the caller's step. A failed call is no dead letter.
#[test]
fn a_caller_is_told_every_outcome() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let [entity] = stage.entities();
        for (sequence, operation, line) in [
            (1, "note", "1"),
            (2, "note", "refuse"),
            (3, "note", "panic"),
            (4, "unknown", ""),
            (5, "read", ""),
            (6, "note", "2"),
        ] {
            stage.call("a", sequence, &entity, operation, line, None);
        }
        stage.settle();
        let told = [
            "a 1: 1",
            "a 2: refused",
            "a 3: Panicked",
            "a 4: UnknownOperation",
            "a 5: [\"1\"]",
            "a 6: 2",
        ];
        assert_eq!(stage.orders(), told, "{setting:?}");
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}

/// The caller also receives errors about invalid arguments and about a state beyond its limit.
#[test]
fn a_caller_is_told_of_bad_arguments_and_limits() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        stage.limits.state_bytes = 100;
        stage.reopen();
        let [entity] = stage.entities();
        stage.call("a", 1, &entity, "note", &"x".repeat(200), None);
        stage.settle();
        assert_eq!(stage.orders(), ["a 1: TooLarge"], "{setting:?}");
        let origin = stage.step_of("a", 2, None);
        let action = Action::Operation {
            operation: "note".into(),
            arguments: b"{}".to_vec(),
        };
        stage.send(&entity, action, origin);
        stage.settle();
        assert_eq!(stage.orders(), ["a 2: InvalidArguments"], "{setting:?}");
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}

/// An `async` operation answers its caller when it ends, even if it runs again after a crash of the hub.
#[test]
fn a_caller_is_told_by_an_async_operation_once() {
    for setting in Setting::all() {
        for lock in [None, Some(1)] {
            for goes_down in [false, true] {
                let mut stage = Stage::new(setting);
                let [entity] = stage.entities();
                if lock.is_some() {
                    stage.take("a", 1, std::slice::from_ref(&entity));
                    stage.settle();
                    assert_eq!(stage.orders(), ["a 1: null"]);
                }
                stage.call("a", 2, &entity, "note_slowly", "1", lock);
                stage.settle();
                assert_eq!(stage.orders(), [""; 0]);
                if goes_down {
                    stage.reopen();
                    stage.settle();
                }
                stage.call("a", 3, &entity, "note", "2", lock);
                stage.settle();
                assert_eq!(stage.orders(), [""; 0], "one at a time");
                assert_eq!(stage.finish_async(), 1, "{setting:?}");
                stage.settle();
                assert_eq!(stage.orders(), ["a 2: 1", "a 3: 2"], "{setting:?}");
                assert_eq!(stage.finish_async(), 0);
                stage.release("a", 1, std::slice::from_ref(&entity));
                stage.settle();
                assert_eq!(stage.left(), [""; 0], "{setting:?}");
            }
        }
    }
}

/// While an `async` operation runs, the end of a lock is processed, unless calls that its owner sent earlier are
/// waiting.
#[test]
fn a_lock_ends_while_an_async_operation_runs() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let [entity] = stage.entities();
        let entities = [entity.clone()];
        stage.take("a", 1, &entities);
        stage.settle();
        stage.call("a", 2, &entity, "note_slowly", "1", Some(1));
        stage.settle();
        stage.release("a", 1, &entities);
        stage.take("b", 1, &entities);
        stage.settle();
        assert_eq!(stage.locks(), [], "{setting:?}");
        stage.finish_async();
        stage.settle();
        assert_eq!(stage.orders(), ["a 1: null", "a 2: 1", "b 1: null"], "{setting:?}");
        stage.call("b", 2, &entity, "note_slowly", "2", Some(1));
        stage.settle();
        stage.call("b", 3, &entity, "note", "3", Some(1));
        stage.release("b", 1, &entities);
        stage.settle();
        assert_eq!(stage.locks().len(), 1, "the owner sent a call before the release");
        stage.finish_async();
        stage.settle();
        assert_eq!(stage.orders(), ["b 2: 2", "b 3: 3"], "{setting:?}");
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}
