//! The cache of orchestrations counts the memory that it holds.

use super::stage::{Stage, tally, with_number};
use crate::engine::Limits;
use crate::id::InstanceId;
use crate::model::Action;
use crate::model::orchestration::{Order, StartRecord};
use crate::prelude::*;

/// Returns a text of `bytes` bytes.
#[orchestration]
pub(super) async fn returns(_ctx: OrchestrationContext, bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Waits for an event that is never raised.
#[orchestration]
pub(super) async fn rests(ctx: OrchestrationContext, text: String) -> Result<(), Failure> {
    ctx.wait_for_external_event::<()>("go").await?;
    drop(text);
    Ok(())
}

/// Stops with a long error text.
#[orchestration]
pub(super) async fn stops(_ctx: OrchestrationContext, bytes: usize) {
    std::panic::resume_unwind(Box::new("x".repeat(bytes)));
}

const BUDGET: usize = 1 << 20;
const LARGE: usize = 100_000;

/// Returns the maximum memory held between two steps while `count` orchestrations were started one after the other.
fn held(count: usize, start: impl Fn() -> StartRecord) -> usize {
    let mut stage = Stage::new(Limits {
        live_bytes: BUDGET,
        ..Limits::default()
    });
    let mut most = 0;
    for number in 0..count {
        let order = Order::Start(Box::new(start()));
        stage.signal(
            &InstanceId::trusted(format!("o-{number}")),
            Action::Order(Box::new(order)),
        );
        stage.settle();
        most = most.max(stage.core.orchestrations().held_bytes());
    }
    assert_eq!(stage.ended_or_alive(), count);
    most
}

fn start(name: &str, input: &str) -> StartRecord {
    StartRecord {
        name: name.to_owned(),
        input: input.as_bytes().to_vec(),
        ..StartRecord::default()
    }
}

/// The cache stays within its budget even if an end, a tag, an input or the reason of a stop is large.
#[test]
fn the_cache_keeps_its_budget() {
    let bytes = LARGE.to_string();
    let tagged = |start| StartRecord {
        tags: vec![("t".to_owned(), "x".repeat(LARGE))],
        ..start
    };
    let text = format!("\"{}\"", "x".repeat(LARGE));
    for most in [
        held(60, || start("returns", &bytes)),
        held(60, || tagged(start("rests", "\"\""))),
        held(60, || tagged(start("returns", "1"))),
        held(60, || start("rests", &text)),
        held(60, || start("stops", &bytes)),
    ] {
        assert!(most <= BUDGET + 4 * LARGE, "{most} bytes are held");
    }
}

/// Small orchestrations stay in memory, as many as the budget allows.
#[test]
fn small_orchestrations_stay_in_memory() {
    let most = held(100, || start("rests", "\"\""));
    assert!(most > 100 * 500, "{most} bytes are held");
}

/// A core reports how many instances are in its memory.
#[test]
fn the_instances_in_memory_are_counted() {
    let mut stage = Stage::new(Limits::default());
    for number in 0..3 {
        let order = Order::Start(Box::new(start("rests", "\"\"")));
        stage.signal(
            &InstanceId::trusted(format!("o-{number}")),
            Action::Order(Box::new(order)),
        );
    }
    for key in ["a", "b"] {
        stage.signal(&tally(key), with_number("add_slowly", 1));
    }
    for key in ["c", "d"] {
        stage.signal(&tally(key), with_number("add", 1));
    }
    stage.settle();
    let sizes = stage.core.sizes();
    // Only the mailboxes of running operations are kept.
    assert_eq!((sizes.orchestrations, sizes.entities, sizes.mailboxes), (3, 4, 2));
}
