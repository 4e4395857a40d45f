//! The removal of kept changes.

use super::*;
use crate::engine::Limits;
use crate::engine::message::Input;
use crate::engine::tests::counting::Stage;
use crate::id::PartitionId;
use crate::store::{Batch, Store};

const PARTITION: PartitionId = PartitionId(0);

/// Stores `count` changes of an entity, as an earlier build would.
fn keep(stage: &Stage, entity: &str, count: u64) {
    let mut batch = Batch::default();
    for change in 0..count {
        let place = MessageId {
            batch: change,
            index: 0,
        };
        batch.put(
            &schema::audit::key(PARTITION, &InstanceId::trusted(entity), place),
            b"{}",
        );
    }
    stage.model.write(&batch).unwrap();
}

fn kept(stage: &Stage, entity: &str) -> usize {
    stage.count(schema::audit::of(PARTITION, &InstanceId::trusted(entity)))
}

/// The open deletes the changes of all types that no longer keep any, one page a step. It keeps those of types that are
/// not registered, whatever their names begin with, and a crash between two steps loses nothing.
#[test]
fn changes_of_types_that_keep_none_are_deleted() {
    let mut stage = Stage::new(Limits {
        page: 4,
        ..Limits::default()
    });
    let others = ["@count@a", "@counter2@a", "@counters@a", "@a@a", "@z@a"];
    for entity in others {
        keep(&stage, entity, 5);
    }
    keep(&stage, "@counter@a", 10);
    keep(&stage, "@counter@b", 3);
    stage.reopen();
    stage.step();
    assert_eq!(kept(&stage, "@counter@a"), 6);
    stage.reopen();
    stage.settle();
    assert_eq!([kept(&stage, "@counter@a"), kept(&stage, "@counter@b")], [0, 0]);
    for entity in others {
        assert_eq!(kept(&stage, entity), 5, "{entity}");
    }
    // Nothing is left to search for.
    let read = stage.rows_read;
    stage.now += 1_000_000_000;
    stage.settle();
    assert_eq!(stage.rows_read, read);
}

/// An operator deletes the changes of one entity, whether or not it is in memory.
#[test]
fn an_operator_deletes_the_changes_of_one_entity() {
    let mut stage = Stage::new(Limits::default());
    for entity in ["@z@a", "@z@b"] {
        keep(&stage, entity, 5);
    }
    for expected in ["true", "false"] {
        let token = Token(100 + expected.len() as u64);
        stage.core.accept(Input::DeleteChanges {
            instance: InstanceId::trusted("@z@a"),
            token,
        });
        assert_eq!(stage.answer(token).unwrap(), expected);
        assert_eq!([kept(&stage, "@z@a"), kept(&stage, "@z@b")], [0, 5]);
    }
}
