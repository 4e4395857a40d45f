//! Code that waits for something that is not durable, or never becomes idle.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::sync::Mutex;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::join;

use super::driver::{Driver, answered, raised};
use super::stage::{Double, orchestration};
use crate::OrchestrationContext;
use crate::model::orchestration::{StopKind, Stopped};
use crate::prelude::*;

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

/// A sleep of tokio finds no runtime, and the error names the way out.
#[test]
fn a_sleep_of_tokio_is_a_foreign_wait() {
    let mut driver = Driver::started::<Sleeper>("null");
    assert_foreign(&driver.try_turn(vec![raised("go", "null")]).unwrap_err());
}

orchestration!(Channel(ctx, _nothing: ()) -> (), Failure {
    drop(ctx.create_timer(Duration::from_secs(1)));
    let _abandoned = ctx.call_activity::<Double>(1);
    let (_sender, receiver) = oneshot::channel::<()>();
    Ok(receiver.await?)
});

/// A wait that nothing durable can end stops the code at once, even if it has an open step that it does not await.
#[test]
fn a_wait_for_a_channel_is_a_foreign_wait() {
    let stopped = Driver::new::<Channel>().try_start("null").unwrap_err();
    assert_foreign(&stopped);
    assert!(stopped.message.contains("waits for nothing durable"));
}

orchestration!(Stale(ctx, how: u8) -> (), Failure {
    let (_sender, receiver) = oneshot::channel::<()>();
    let mut timer = ctx.create_timer(Duration::from_secs(1));
    let mut event = ctx.wait_for_external_event::<()>("go");
    if how == 0 {
        assert!(futures::poll!(&mut timer).is_pending());
    }
    if how == 1 {
        assert!(futures::poll!(&mut event).is_pending());
        ctx.call_activity::<Double>(1).await?;
    }
    Ok(receiver.await?)
});

/// A step that was polled once and is no longer awaited does not hide a foreign wait.
#[test]
fn a_step_polled_before_hides_no_foreign_wait() {
    assert_foreign(&Driver::new::<Stale>().try_start("0").unwrap_err());
    let mut driver = Driver::started::<Stale>("1");
    assert_foreign(&driver.try_turn(vec![answered(3, "1")]).unwrap_err());
}

orchestration!(Inner(ctx, _nothing: ()) -> u32, Failure {
    let (sender, receiver) = oneshot::channel::<u32>();
    let first = async {
        ctx.create_timer(Duration::from_secs(1)).await;
        sender.send(5).ok();
        ctx.wait_for_external_event::<()>("go").await.ok();
    };
    // Next to a durable wait, a channel may connect two branches, and here it does.
    let (received, ()) = join(receiver, first).await;
    Ok(received?)
});

/// A channel between two branches of one orchestration is no foreign wait, as long as the other branch waits for
/// something durable.
#[test]
fn branches_may_wait_for_each_other() {
    let mut driver = Driver::started::<Inner>("null");
    driver.fire(1);
    driver.raise("go", "null");
    assert_eq!(driver.ended().unwrap(), "5");
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

/// A wake from another thread is detected in the next turn.
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

/// Code that wakes itself forever is stopped.
#[test]
fn code_that_never_rests_is_stopped() {
    let mut driver = Driver::started::<Restless>("null");
    let stopped = driver.try_turn(vec![raised("go", "null")]).unwrap_err();
    assert_eq!(stopped.kind, StopKind::TurnLimit);
    assert!(stopped.message.contains("woke itself"), "{}", stopped.message);
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

/// Code that uses the context of another orchestration is stopped.
#[test]
fn a_context_stays_within_its_orchestration() {
    let smuggler = Driver::started::<Smuggler>("null");
    let stopped = Driver::new::<Thief>().try_start("null").unwrap_err();
    assert_eq!(stopped.kind, StopKind::Panicked);
    assert!(
        stopped.message.contains("only within its own orchestration"),
        "{}",
        stopped.message
    );
    drop(smuggler);
}
