//! Locks of entities at which an `async` operation blocks its thread beyond its time limit.

use super::stage::{Setting, Stage};

/// The end of the lingering operation.
#[derive(Clone, Copy, Debug)]
enum Way {
    Returns,
    /// The hub crashes.
    Crash,
}

/// The owner of the lock receives the error. Further calls, the release behind them and the next request wait for the
/// end of the operation. In the meantime, an operator can release the lock by force. No rows are left, whether the
/// operation returns or ends with its process.
#[test]
fn what_follows_a_lingering_operation_waits_for_its_end() {
    for setting in Setting::all() {
        for (way, forced) in [
            (Way::Returns, false),
            (Way::Crash, false),
            (Way::Returns, true),
            (Way::Crash, true),
        ] {
            let case = format!("{setting:?} {way:?} by force: {forced}");
            let mut stage = Stage::new(setting);
            let [entity] = stage.entities();
            let entities = [entity.clone()];
            stage.take("a", 1, &entities);
            stage.settle();
            stage.call("a", 2, &entity, "note_slowly", "slow", Some(1));
            stage.take("b", 1, &entities);
            stage.signal(&entity, "signal");
            stage.settle();
            assert_eq!(stage.orders(), ["a 1: null"], "{case}");
            stage.linger_async();
            stage.settle();
            assert_eq!(stage.orders(), ["a 2: TimedOut"], "{case}");
            stage.call("a", 3, &entity, "note", "owner", Some(1));
            stage.release("a", 1, &entities);
            stage.settle();
            assert_eq!(stage.orders(), [""; 0], "{case}");
            assert_eq!(stage.locks().len(), 1, "{case}");
            if forced {
                let force = stage.force(&entity);
                stage.settle();
                assert_eq!(stage.told(force), Some("true"), "{case}");
                assert_eq!(stage.orders(), [format!("a lost 1 of {entity}")], "{case}");
            }
            match way {
                Way::Returns => assert_eq!(stage.finish_async(), 1, "{case}"),
                Way::Crash => stage.reopen(),
            }
            stage.settle();
            let owner = if forced { "a 3: LockLost" } else { "a 3: 1" };
            assert_eq!(stage.orders(), [owner, "b 1: null"], "{case}");
            assert_eq!(stage.finish_async(), 0, "{case}");
            stage.release("b", 1, &entities);
            stage.settle();
            let lines: &[&str] = if forced { &["signal"] } else { &["owner", "signal"] };
            assert_eq!(stage.lines(&entity).unwrap(), lines, "{case}");
            assert_eq!((stage.left(), stage.locks().len()), (Vec::new(), 0), "{case}");
        }
    }
}
