//! The tests of the examples, each with a hub for tests.
//!
//! An example that is built as a test cannot be run, so its module is built again here. The tests are in `cases/`, and
//! those of `order_processing` at the end of its file.
//!
//! A change of an orchestration must fit those that are under way. The directory `histories` has recorded ones, which the
//! tests replay. To record them anew, after a change that is meant to fit none of them, run
//!
//! ```text
//! cargo test --package abide-examples --test scenarios -- --ignored record
//! ```

#[path = "cases/golden.rs"]
mod golden;

#[path = "../aggregator.rs"]
#[allow(dead_code, reason = "nothing runs the program of an example")]
mod aggregator;

#[path = "../approval.rs"]
#[allow(dead_code, reason = "nothing runs the program of an example")]
mod approval;

#[path = "../bank.rs"]
#[allow(dead_code, reason = "nothing runs the program of an example")]
mod bank;

#[path = "../counter.rs"]
#[allow(dead_code, reason = "nothing runs the program of an example")]
mod counter;

#[path = "../fan_out.rs"]
#[allow(dead_code, reason = "nothing runs the program of an example")]
mod fan_out;

#[path = "../hello_sequence.rs"]
#[allow(dead_code, reason = "nothing runs the program of an example")]
mod hello_sequence;

#[path = "../monitor.rs"]
#[allow(dead_code, reason = "nothing runs the program of an example")]
mod monitor;

#[path = "../order_processing.rs"]
#[allow(dead_code, reason = "nothing runs the program of an example")]
mod order_processing;
