//! External events, and the waits that receive them.

use std::time::Duration;

use futures::future::join;

use super::driver::{Driver, answered, raised, short};
use super::stage::orchestration;
use crate::ErrorKind;
use crate::prelude::*;

orchestration!(Stack(ctx, _nothing: ()) -> (String, String), Failure {
    let first = ctx.wait_for_external_event::<String>("Go");
    let second = ctx.wait_for_external_event::<String>("gO");
    let (first, second) = join(first, second).await;
    Ok((first?, second?))
});

/// The newest wait is the first to receive an event, each event goes to one wait, and case is ignored.
#[test]
fn waiters_form_a_stack() {
    let mut driver = Driver::started::<Stack>("null");
    driver.turn(vec![raised("GO", "\"a\""), raised("go", "\"b\"")]);
    assert_eq!(driver.ended().unwrap(), r#"["b","a"]"#);
}

orchestration!(Queue(ctx, _nothing: ()) -> Vec<u32>, Failure {
    ctx.wait_for_external_event::<()>("start").await?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(ctx.wait_for_external_event::<u32>("item").await?);
    }
    Ok(seen)
});

/// Events without a waiter are kept in order, also across a replay.
#[test]
fn unread_events_are_kept_in_order() {
    let mut driver = Driver::started::<Queue>("null");
    driver.turn(vec![raised("item", "1"), raised("ITEM", "2"), raised("other", "9")]);
    driver.unload();
    driver.raise("start", "null");
    assert!(driver.ended().is_none());
    driver.raise("Item", "3");
    assert_eq!(driver.ended().unwrap(), "[1,2,3]");
}

orchestration!(Returned(ctx, _nothing: ()) -> Vec<u32>, Failure {
    let older = ctx.wait_for_external_event::<u32>("item");
    let newer = ctx.wait_for_external_event::<u32>("item");
    ctx.wait_for_external_event::<()>("start").await?;
    drop(newer);
    let first = older.await?;
    let second = ctx.wait_for_external_event::<u32>("item").await?;
    Ok(vec![first, second])
});

/// An event whose waiter never read it is not lost: the next waiter receives it.
#[test]
fn an_event_that_was_not_read_goes_to_the_next() {
    let mut driver = Driver::started::<Returned>("null");
    driver.raise("item", "1");
    driver.turn(vec![raised("start", "null")]);
    driver.raise("item", "2");
    assert_eq!(driver.ended().unwrap(), "[1,2]");
}

/// An event that its waiter returned keeps its position in the order of arrival.
#[test]
fn an_event_that_was_not_read_keeps_its_place() {
    let mut driver = Driver::started::<Returned>("null");
    driver.turn(vec![raised("item", "1"), raised("item", "2"), raised("item", "3")]);
    driver.turn(vec![raised("start", "null")]);
    // The stack gave 1 to `newer` and 2 to `older`. 1 was returned and is older than 3.
    assert_eq!(driver.ended().unwrap(), "[2,1]");
}

orchestration!(Patient(ctx, _nothing: ()) -> String, Failure {
    let first = ctx.wait_for_external_event::<u32>("n").timeout(Duration::from_secs(5)).await?;
    let second = ctx.wait_for_external_event::<u32>("n").timeout_or(Duration::from_secs(5), 7).await?;
    Ok(format!("{first:?} {second}"))
});

/// A wait with a timeout ends with the event or with the timer, and cancels the other.
#[test]
fn a_wait_ends_in_time() {
    let mut driver = Driver::started::<Patient>("null");
    assert_eq!(short(&driver.history[0].commands), ["event 1", "timer 2"]);
    assert_eq!(short(&driver.raise("n", "3")), ["cancel 2", "event 3", "timer 4"]);
    assert_eq!(short(&driver.fire(4)), ["cancel 3", "complete \"Some(3) 7\""]);

    let mut driver = Driver::started::<Patient>("null");
    assert_eq!(short(&driver.fire(2)), ["cancel 1", "event 3", "timer 4"]);
    let both = vec![raised("n", "8"), answered(4, "null")];
    assert_eq!(short(&driver.turn(both)), ["cancel 4", "complete \"None 8\""]);
}

/// A wait for an event that has already arrived needs no timer.
#[test]
fn an_event_that_has_arrived_needs_no_timer() {
    let mut driver = Driver::started::<Patient>("null");
    let twice = vec![raised("n", "1"), raised("n", "2")];
    assert_eq!(
        short(&driver.turn(twice)),
        ["cancel 2", "event 3", "complete \"Some(1) 2\""]
    );
}

orchestration!(Typed(ctx, _nothing: ()) -> String, Failure {
    let refused = ctx.wait_for_external_event::<u32>("n").await.unwrap_err().into_returned().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Serialization);
    Ok(refused.to_string())
});

/// An event of another type fails the wait with an error that contains both names and the position.
#[test]
fn an_event_of_another_type_fails_the_wait() {
    let mut driver = Driver::started::<Typed>("null");
    driver.raise("n", "\"text\"");
    let text = driver.ended().unwrap();
    for part in ["`n`", "`u32`", "line 1 column 6"] {
        assert!(text.contains(part), "{text}");
    }
}

orchestration!(Sender(ctx, id: String) -> (), Failure {
    ctx.send_event(&id, "hello", vec![1, 2]);
    Ok(())
});

/// An event for another orchestration is sent with the turn. An event that cannot be sent fails the sender.
#[test]
fn an_event_is_sent_or_fails_the_sender() {
    let driver = Driver::started::<Sender>("\"other\"");
    assert_eq!(short(&driver.history[0].commands), ["send 1", "complete null"]);
    let driver = Driver::started::<Sender>("\"@counter@a\"");
    assert!(
        driver.ended().unwrap().starts_with("!InvalidId"),
        "{:?}",
        driver.ended()
    );
}

orchestration!(WaitsFor(ctx, name: String) -> u32, Failure {
    Ok(ctx.wait_for_external_event::<u32>(name).await?)
});

/// A wait for an event that cannot be raised is refused.
#[test]
fn a_name_that_no_event_can_have_is_refused() {
    for name in [".", "..", "", "a\nb"] {
        let driver = Driver::started::<WaitsFor>(&serde_json::to_string(name).unwrap());
        let ended = driver.ended().unwrap();
        assert!(ended.starts_with("!InvalidId"), "{name:?}: {ended}");
        assert!(ended.contains("event name"), "{name:?}: {ended}");
    }
}
