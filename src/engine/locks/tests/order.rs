//! The order in which locks are granted, and the messages that wait in the meantime.

use super::stage::{Setting, Stage};

/// Of two requests for the same entities, the first gets all of them. The second gets them after the release.
#[test]
fn requests_are_granted_one_after_the_other() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let entities: [_; 3] = stage.entities();
        stage.take("a", 1, &entities);
        stage.take("b", 4, &entities);
        stage.settle();
        assert_eq!(stage.orders(), ["a 1: null"], "{setting:?}");
        assert_eq!(stage.locks(), entities.clone().map(|id| (id, "a 1".to_owned())));
        stage.release("a", 1, &entities);
        stage.settle();
        assert_eq!(stage.orders(), ["b 4: null"], "{setting:?}");
        assert_eq!(stage.locks(), entities.clone().map(|id| (id, "b 4".to_owned())));
        stage.release("b", 4, &entities);
        stage.settle();
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
        assert!(entities.iter().all(|id| stage.lines(id).is_none()));
    }
}

/// Messages of other senders wait in order, and calls of the owner bypass them. After the release, the waiting messages
/// are processed in order.
#[test]
fn a_locked_entity_takes_from_its_owner_only() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let [entity] = stage.entities();
        let entities = [entity.clone()];
        stage.signal(&entity, "before");
        stage.take("a", 1, &entities);
        stage.settle();
        stage.signal(&entity, "1");
        stage.call("b", 9, &entity, "note", "2", None);
        stage.settle();
        for line in ["3", "4", "5", "6"] {
            stage.signal(&entity, line);
        }
        stage.call("a", 2, &entity, "note", "owner", Some(1));
        stage.settle();
        assert_eq!(stage.orders(), ["a 1: null", "a 2: 2"], "{setting:?}");
        assert_eq!(stage.lines(&entity).unwrap(), ["before", "owner"]);
        stage.signal(&entity, "7");
        stage.call("a", 3, &entity, "forget", "", Some(1));
        stage.settle();
        assert_eq!(stage.lines(&entity), None, "the state is deleted and the lock remains");
        assert_eq!(stage.locks().len(), 1);
        stage.call("a", 4, &entity, "note", "again", Some(1));
        stage.release("a", 1, &entities);
        stage.signal(&entity, "8");
        stage.settle();
        assert_eq!(stage.orders(), ["a 3: null", "a 4: 1", "b 9: 3"], "{setting:?}");
        let lines = ["again", "1", "2", "3", "4", "5", "6", "7", "8"];
        assert_eq!(stage.lines(&entity).unwrap(), lines, "{setting:?}");
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}

/// A client's signal to a locked entity is durable immediately. Calls wait, reads see the committed state, and the
/// limit of the queue applies.
#[test]
fn clients_of_a_locked_entity_wait() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        stage.limits.queue = 3;
        stage.reopen();
        let [entity] = stage.entities();
        stage.take("a", 1, std::slice::from_ref(&entity));
        stage.settle();
        let signal = stage.ask(&entity, "note", "1", false);
        let call = stage.ask(&entity, "note", "2", true);
        let read = stage.ask(&entity, "read", "", true);
        stage.settle();
        assert_eq!(stage.told(signal), Some("accepted"), "{setting:?}");
        assert_eq!(stage.told(call), None);
        assert_eq!(stage.told(read), Some("[]"));
        let third = stage.ask(&entity, "note", "3", false);
        let fourth = stage.ask(&entity, "note", "4", false);
        stage.settle();
        assert_eq!(stage.told(third), Some("accepted"), "{setting:?}");
        assert_eq!(stage.told(fourth), Some("full"));
        // The limit applies to clients only.
        stage.signal(&entity, "5");
        stage.call("a", 2, &entity, "note", "owner", Some(1));
        stage.settle();
        assert_eq!(stage.rooms, 0);
        stage.release("a", 1, std::slice::from_ref(&entity));
        stage.settle();
        assert_eq!(stage.told(call), Some("3"), "{setting:?}");
        assert_eq!(stage.rooms, 1);
        assert_eq!(stage.lines(&entity).unwrap(), ["owner", "1", "2", "3", "5"]);
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}

/// A message that waits for a lock never becomes a row if the lock ends in the same commit. The stage checks every
/// commit.
#[test]
fn a_lock_that_ends_at_once_leaves_nothing() {
    for setting in Setting::all() {
        let mut stage = Stage::new(setting);
        let entities: [_; 2] = stage.entities();
        stage.take("a", 1, &entities);
        stage.signal(&entities[0], "1");
        stage.withdraw("a", 1, &entities);
        stage.signal(&entities[0], "2");
        stage.settle();
        assert_eq!(stage.lines(&entities[0]).unwrap(), ["1", "2"], "{setting:?}");
        assert_eq!(stage.left(), [""; 0], "{setting:?}");
    }
}
