//! `async` operations that block their threads beyond their time limit.

use super::stage::{Stage, tally, with_number};
use crate::ErrorKind;
use crate::engine::Limits;
use crate::id::PartitionId;
use crate::schema;
use crate::store::{Batch, Reader, Store};

/// The caller receives the error immediately, and so does a repeated request. The next operation waits for the end of
/// the lingering one, whose effects are discarded. After a crash there is no running operation to wait for.
#[test]
fn an_operation_that_lingers_fails_and_the_next_waits() {
    for goes_down in [false, true] {
        let mut stage = Stage::new(Limits::default());
        let id = tally("a");
        let slow = stage.request(&id, with_number("add_slowly", 1), "slow");
        stage.settle();
        let next = stage.signal(&id, with_number("add", 10));
        stage.settle();
        assert!(!stage.is_told(slow));
        stage.linger_async();
        stage.settle();
        assert_eq!(stage.told(slow), Err(ErrorKind::TimedOut));
        assert_eq!(stage.told(next), Ok(()));
        let again = stage.request(&id, with_number("add_slowly", 1), "slow");
        stage.settle();
        assert_eq!(stage.told(again), Err(ErrorKind::TimedOut));
        assert_eq!((stage.sum(&id), stage.core.running()), (0, 1));
        if goes_down {
            stage.reopen();
        } else {
            stage.finish_async();
        }
        stage.settle();
        assert_eq!((stage.sum(&id), stage.core.running()), (10, 0), "{goes_down}");
        let after = stage.request(&id, with_number("add_slowly", 100), "after");
        stage.settle();
        stage.finish_async();
        stage.settle();
        assert_eq!((stage.told(after), stage.sum(&id)), (Ok(()), 110));
    }
}

/// The state of an entity no longer decodes when an operation fails that was running for long. The next operation must
/// not begin with a new state, which would replace the stored one.
#[test]
fn a_failed_operation_leaves_a_state_that_does_not_decode() {
    let mut stage = Stage::new(Limits {
        cache_bytes: 0,
        ..Limits::default()
    });
    let id = tally("a");
    stage.signal(&id, with_number("add", 1));
    stage.settle();
    stage.signal(&id, with_number("add_slowly", 1));
    stage.settle();
    // Other entities displace it from memory.
    for other in ["b", "c"] {
        stage.signal(&tally(other), with_number("add", 1));
        stage.settle();
    }
    let key = schema::state::key(PartitionId(0), &id);
    let mut batch = Batch::default();
    batch.put(&key, b"rubbish");
    stage.model.write(&batch).unwrap();
    stage.linger_async();
    stage.settle();
    stage.finish_async();
    stage.settle();
    let next = stage.request(&id, with_number("add", 1), "next");
    stage.settle();
    assert_eq!(stage.told(next), Err(ErrorKind::Quarantined));
    assert_eq!(stage.model.get(&key).unwrap(), Some(b"rubbish".to_vec()));
}
