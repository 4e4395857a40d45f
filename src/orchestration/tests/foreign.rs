//! Code that waits for what is not durable, or never comes to rest.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::join;

use super::driver::{Driver, raised, short};
use super::stage::{Double, orchestration};
use crate::OrchestrationContext;
use crate::prelude::*;
use crate::store::records::instance::{StopKind, Stopped};

fn assert_foreign(stopped: &Stopped) {
    assert_eq!(stopped.kind, StopKind::ForeignWait, "{stopped:?}");
    for part in ["do anything else in an activity", "foreign.rs:"] {
        assert!(stopped.message.contains(part), "{}", stopped.message);
    }
}

orchestration!(Sleeper(ctx, _nothing: ()) -> (), Failure {
    ctx.wait_for_external_event::<()>("go").await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
});

/// A sleep of tokio's finds no runtime, and the orchestration says what to do instead.
#[test]
fn a_sleep_of_tokios_is_a_foreign_wait() {
    let mut driver = Driver::started::<Sleeper>("null");
    assert_foreign(&driver.try_turn(vec![raised("go", "null")]).unwrap_err());
}

orchestration!(Channel(ctx, _nothing: ()) -> (), Failure {
    drop(ctx.create_timer(Duration::from_secs(1)));
    let _abandoned = ctx.call_activity::<Double>(1);
    let (_sender, receiver) = oneshot::channel::<()>();
    Ok(receiver.await?)
});

/// A wait that nothing durable can end stops at once, though something durable is under way that nobody waits for.
#[test]
fn a_wait_for_a_channel_is_a_foreign_wait() {
    let stopped = Driver::new::<Channel>().try_start("null").unwrap_err();
    assert_foreign(&stopped);
    assert!(stopped.message.contains("waits for nothing durable"));
}

static OTHER: Mutex<Option<Waker>> = Mutex::new(None);

orchestration!(Threaded(ctx, _nothing: ()) -> (), Failure {
    let foreign = poll_fn(|cx| {
        *OTHER.lock().unwrap() = Some(cx.waker().clone());
        Poll::<()>::Pending
    });
    join(ctx.create_timer(Duration::from_secs(1)), foreign).await;
    Ok(())
});

/// A wake from another thread is seen at the next turn.
#[test]
fn a_wake_from_another_thread_is_a_foreign_wait() {
    let mut driver = Driver::started::<Threaded>("null");
    let waker = OTHER.lock().unwrap().take().unwrap();
    std::thread::spawn(move || waker.wake()).join().unwrap();
    let stopped = driver.try_turn(vec![raised("go", "null")]).unwrap_err();
    assert_foreign(&stopped);
    assert!(stopped.message.contains("woken by something that is not durable"));
}

orchestration!(Restless(ctx, _nothing: ()) -> (), Failure {
    ctx.wait_for_external_event::<()>("go").await?;
    poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
});

/// Code that wakes itself for ever is stopped.
#[test]
fn code_that_never_rests_is_stopped() {
    let mut driver = Driver::started::<Restless>("null");
    let stopped = driver.try_turn(vec![raised("go", "null")]).unwrap_err();
    assert_eq!(stopped.kind, StopKind::TurnLimit);
    assert!(stopped.message.contains("woke itself"), "{}", stopped.message);
}

orchestration!(Greedy(ctx, count: u64) -> (), Failure {
    for n in 0..count {
        ctx.send_event("other", "n", n);
    }
    Ok(())
});

/// A turn may ask for so much and no more; a loop without an end is cut off.
#[test]
fn a_turn_has_a_limit() {
    let mut driver = Driver::new::<Greedy>();
    driver.begin.actions = 100;
    let stopped = driver.try_start(&u64::MAX.to_string()).unwrap_err();
    assert_eq!(stopped.kind, StopKind::TurnLimit);
    assert!(stopped.message.contains("more than 100 things"), "{}", stopped.message);
    let mut driver = Driver::new::<Greedy>();
    driver.begin.actions = 100;
    driver.start("100");
    // A limit that is lowered later does not stop what was done before.
    driver.begin.actions = 10;
    driver.replayed(1).unwrap();
}

orchestration!(Large(ctx, bytes: usize) -> String, Failure {
    let call = ctx.call_activity::<super::stage::Text>("x".repeat(bytes));
    match call.await {
        Ok(answer) => Ok(answer),
        Err(error) => Ok(format!("{:?}", error.into_returned().unwrap_err().kind())),
    }
});

/// A payload over the limit fails its call and is not sent; one that was let through stays so when the limit is lowered.
#[test]
fn a_payload_has_a_limit() {
    let driver = Driver::started::<Large>("1000");
    assert_eq!(short(&driver.history[0].commands), ["complete \"TooLarge\""]);
    let mut driver = Driver::started::<Large>("900");
    driver.begin.payload_bytes = 10;
    driver.unload();
    driver.answer(1, "\"done\"");
    assert_eq!(driver.ended().unwrap(), "\"done\"");
}

orchestration!(HugeOutput(ctx, _nothing: ()) -> String, Failure {
    Ok(ctx.instance_id().repeat(1_000))
});

/// An output over the limit fails the execution.
#[test]
fn an_output_has_a_limit() {
    let driver = Driver::started::<HugeOutput>("null");
    assert!(driver.ended().unwrap().starts_with("!TooLarge"));
}

thread_local! {
    static SMUGGLED: RefCell<Option<OrchestrationContext>> = const { RefCell::new(None) };
}

orchestration!(Smuggler(ctx, _nothing: ()) -> (), Failure {
    SMUGGLED.set(Some(ctx.clone()));
    ctx.create_timer(Duration::from_secs(1)).await;
    pending().await
});

orchestration!(Thief(ctx, _nothing: ()) -> (), Failure {
    let stolen = SMUGGLED.take().unwrap();
    drop(ctx);
    stolen.create_timer(Duration::from_secs(1)).await;
    Ok(())
});

/// A context that is used by another orchestration stops that one.
#[test]
fn a_context_stays_within_its_orchestration() {
    let smuggler = Driver::started::<Smuggler>("null");
    let stopped = Driver::new::<Thief>().try_start("null").unwrap_err();
    assert_eq!(stopped.kind, StopKind::Panicked);
    assert!(
        stopped.message.contains("stays within its own orchestration"),
        "{}",
        stopped.message
    );
    drop(smuggler);
}
