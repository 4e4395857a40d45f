//! What is deleted for its age, and when it is not.

use super::stage::{Stage, arguments, tally};
use crate::engine::Limits;
use crate::store::records::Action;
use std::time::Duration;

const HOUR: u64 = 3_600_000;

/// One open under a clock that is ten years ahead forgets no request id: its retry takes effect once. When the hub has been
/// open for an hour, the clock is believed.
#[test]
fn a_clock_in_doubt_forgets_no_request() {
    let limits = Limits {
        request_retention: Duration::from_millis(HOUR),
        ..Limits::default()
    };
    let mut stage = Stage::new(limits);
    let id = tally("t");
    let add = || Action::Operation {
        operation: "add".into(),
        arguments: arguments(1),
    };
    let ask = |stage: &mut Stage| {
        stage.request(&id, add(), "r");
        stage.settle();
        stage.sum(&id)
    };
    assert_eq!(ask(&mut stage), 1);
    stage.reopen_after(10 * 365 * 24 * HOUR);
    stage.settle();
    assert_eq!(ask(&mut stage), 1);
    stage.now += HOUR / 2;
    assert_eq!(ask(&mut stage), 1);
    stage.now += HOUR;
    stage.settle();
    assert_eq!(ask(&mut stage), 2);
}
