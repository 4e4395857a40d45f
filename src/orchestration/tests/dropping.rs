//! The meaning of a drop: a cancellation if the code caused it, and nothing otherwise.

use std::time::Duration;

use futures::future::join;

use super::driver::{Driver, short};
use super::stage::{Account, Double, orchestration};
use crate::model::orchestration::StopKind;
use crate::prelude::*;

orchestration!(Dropper(ctx, _nothing: ()) -> String, Failure {
    let early = ctx.call_activity::<Double>(1);
    drop(ctx.create_timer(Duration::from_secs(1)));
    let never_sent = ctx.entity::<Account>("a").deposit(5);
    let read_late = ctx.call_activity::<Double>(2);
    ctx.wait_for_external_event::<()>("go").await?;
    drop(early);
    drop(never_sent);
    ctx.wait_for_external_event::<()>("on").await?;
    drop(read_late);
    ctx.create_timer(Duration::from_secs(1)).await;
    Ok("done".into())
});

/// Dropping a step of an earlier turn cancels it. Dropping a step of the same turn, or an operation that was never
/// used, only leaves a gap in the numbers. Dropping a step that has ended has no effect.
#[test]
fn a_dropped_step_is_canceled_once() {
    let mut driver = Driver::started::<Dropper>("null");
    // Step 2 was dropped at once, and step 3 was an operation.
    assert_eq!(
        short(&driver.history[0].commands),
        ["activity 1", "activity 4", "event 5"]
    );
    assert_eq!(short(&driver.raise("go", "null")), ["cancel 1", "event 6"]);
    assert!(!driver.wants(1), "a canceled step needs no completion");
    driver.answer(4, "4");
    assert_eq!(short(&driver.raise("on", "null")), ["timer 7"]);
    assert_eq!(short(&driver.fire(7)), ["complete \"done\""]);
}

/// Unloading the live code cancels nothing: the replay reaches the same state.
#[test]
fn unloading_records_nothing() {
    let mut driver = Driver::started::<Dropper>("null");
    driver.unload();
    assert_eq!(short(&driver.raise("go", "null")), ["cancel 1", "event 6"]);
    driver.unload();
    driver.answer(4, "4");
    assert!(driver.ended().is_none());
}

orchestration!(Panics(ctx, _nothing: ()) -> (), Failure {
    let _kept = ctx.call_activity::<Double>(1);
    ctx.wait_for_external_event::<()>("go").await?;
    let _fresh = ctx.create_timer(Duration::from_secs(1));
    panic!("on purpose");
});

/// Drops by unwinding cancel nothing. The turn does not count, and can be tried again.
#[test]
fn a_panic_records_nothing() {
    let mut driver = Driver::started::<Panics>("null");
    for _ in 0..2 {
        let stopped = driver.try_turn(vec![super::driver::raised("go", "null")]).unwrap_err();
        assert_eq!(stopped.kind, StopKind::Panicked);
        assert!(stopped.message.contains("on purpose"), "{}", stopped.message);
        assert!(stopped.message.contains("dropping.rs:"), "{}", stopped.message);
        assert_eq!(driver.history.len(), 1);
        assert!(driver.open.contains_key(&1));
    }
}

orchestration!(Caught(ctx, _nothing: ()) -> String, Failure {
    use futures::FutureExt;
    let kept = ctx.call_activity::<Double>(1);
    ctx.wait_for_external_event::<()>("go").await?;
    let explosive = std::panic::AssertUnwindSafe(async move {
        let _dropped_by_unwinding = kept;
        panic!("on purpose");
    });
    let caught: Result<(), _> = explosive.catch_unwind().await;
    ctx.create_timer(Duration::from_secs(1)).await;
    Ok(format!("caught {}", caught.is_err()))
});

/// A panic that the code catches itself is part of its behavior.
#[test]
fn a_panic_that_the_code_catches_is_part_of_its_behavior() {
    let mut driver = Driver::started::<Caught>("null");
    assert_eq!(short(&driver.raise("go", "null")), ["cancel 1", "timer 3"]);
    driver.fire(3);
    assert_eq!(driver.ended().unwrap(), "\"caught true\"");
}

orchestration!(Leaves(ctx, early: bool) -> (), Failure {
    let (b, a) = (ctx.create_timer(Duration::from_secs(9)), ctx.call_activity::<Double>(1));
    let child = ctx.call_sub_orchestration::<Dropper>(());
    let event = ctx.wait_for_external_event::<()>("go");
    if early {
        event.await?;
        return Err(Failure::message("early"));
    }
    drop(join(join(child, a), join(b, event)));
    Ok(())
});

/// The end of an execution cancels open steps in the order of their numbers, whatever the order of the drops.
#[test]
fn the_end_cancels_open_steps() {
    let mut driver = Driver::started::<Leaves>("true");
    assert_eq!(
        short(&driver.history[0].commands),
        ["timer 1", "activity 2", "child 3", "event 4"]
    );
    assert_eq!(
        short(&driver.raise("go", "null")),
        ["cancel 1", "cancel 2", "cancel 3", "fail Failure: early"]
    );
    let driver = Driver::started::<Leaves>("false");
    assert_eq!(short(&driver.history[0].commands), ["complete null"]);
}

orchestration!(Hot(ctx, _nothing: ()) -> i64, Failure {
    let first = ctx.call_activity::<Double>(1);
    let account = ctx.entity::<Account>("a");
    let operation = account.deposit(1);
    account.deposit(2).signal();
    let second = ctx.call_activity::<Double>(2);
    let (a, b) = (second.await?, operation.await?);
    Ok(a + b + first.await?)
});

/// Activities are requested where they are created, and operations where they are used. The numbers are those of the
/// creation.
#[test]
fn hot_steps_begin_before_they_are_awaited() {
    let mut driver = Driver::started::<Hot>("null");
    assert_eq!(
        short(&driver.history[0].commands),
        ["activity 1", "signal 3", "activity 4"]
    );
    assert!(
        driver.answer(1, "10").is_empty(),
        "an answer is kept until it is awaited"
    );
    assert_eq!(short(&driver.answer(4, "20")), ["call 2"]);
    assert_eq!(short(&driver.answer(2, "30")), ["complete 60"]);
}
