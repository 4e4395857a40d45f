//! Retries of activities and sub-orchestrations.

use std::time::Duration;

use super::driver::{Driver, short};
use super::stage::{Double, Stubborn, orchestration};
use crate::model::Outcome;
use crate::model::history::Command;
use crate::prelude::*;
use crate::{Error, ErrorKind, OperationError};

const SECOND: Duration = Duration::from_secs(1);

orchestration!(Retrying(ctx, which: String) -> i64, Failure {
    let policy = RetryPolicy::new(4).first_interval(SECOND).backoff(3.0).max_interval(5 * SECOND);
    let call = ctx.call_activity::<Double>(1);
    let answer = match which.as_str() {
        "plain" => call.retry(policy),
        "condition" => {
            let wanted = String::from("busy");
            call.retry(policy).retry_if(move |failure| failure.message.contains(&wanted))
        }
        "overall" => call.timeout(SECOND / 2).retry(policy.timeout(4 * SECOND)),
        "dropped" => {
            let call = call.retry(policy);
            ctx.wait_for_external_event::<()>("drop").await?;
            drop(call);
            return Ok(0);
        }
        _ => call,
    };
    Ok(answer.await?)
});

/// Fails a step. Returns the delay before its next attempt in seconds, and the commands that follow it.
fn retry(driver: &mut Driver, outcome: Outcome) -> (f64, Vec<Command>) {
    let before = driver.now;
    let commands = driver.end(1, outcome);
    let [Command::CreateTimer { sequence, due }] = commands[..] else {
        panic!("{commands:?}");
    };
    assert!(!driver.wants(1) && driver.wants(sequence));
    let again = driver.fire(sequence);
    assert!(driver.wants(1));
    (before.until(due).as_secs_f64(), again)
}

/// The activity's own error type.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
enum PayError {
    #[error("busy")]
    Busy,
    #[error("declined")]
    Declined,
}

struct Pay;

impl crate::Activity for Pay {
    const NAME: &'static str = "pay";
    const OPTIONS: crate::activity::ActivityOptions = crate::activity::ActivityOptions::new();
    type Input = ();
    type Output = i64;
    type Error = PayError;

    fn run(_: ActivityContext, (): ()) -> crate::activity::BoxFuture<Result<i64, PayError>> {
        unreachable!("the engine is driven by hand")
    }
}

orchestration!(Paying(ctx, _input: ()) -> i64, Failure {
    let call = ctx.call_activity::<Pay>(()).retry(RetryPolicy::new(4).first_interval(SECOND));
    Ok(call.retry_if(|error: &PayError| *error != PayError::Declined).await?)
});

/// A condition receives the typed error of the activity. For an error of the runtime, the policy alone decides. An
/// error that does not decode is not retried.
#[test]
fn a_condition_receives_the_typed_error() {
    let returned = |error: &PayError| Outcome::Returned(error.to_failure());
    let mut driver = Driver::new::<Paying>();
    driver.start("null");
    retry(&mut driver, returned(&PayError::Busy));
    let panic = Error::new(ErrorKind::Panicked, "boom");
    retry(&mut driver, Outcome::Runtime(panic));
    let commands = driver.end(1, returned(&PayError::Declined));
    let [Command::Fail { failure }] = &commands[..] else {
        panic!("{commands:?}");
    };
    assert_eq!(failure.decode::<PayError>(), Some(PayError::Declined));

    let mut driver = Driver::new::<Paying>();
    driver.start("null");
    let unknown = Failure {
        details: Some("\"Lost\"".into()),
        ..PayError::Busy.to_failure()
    };
    let commands = driver.end(1, Outcome::Returned(unknown));
    assert!(short(&commands)[0].starts_with("fail Serialization: "), "{commands:?}");
}

fn busy() -> Outcome {
    Outcome::Returned(Failure::message("busy"))
}

/// The delays are `min(first * coefficient^n, max)`, each attempt has the same number and input, and the last failure
/// is returned.
#[test]
fn attempts_follow_the_policy() {
    for strict in [false, true] {
        let mut driver = Driver::new::<Retrying>();
        driver.strict = strict;
        driver.start("\"plain\"");
        for (attempt, delay) in [(2, 1.0), (3, 3.0), (4, 5.0)] {
            let (waited, again) = retry(&mut driver, busy());
            assert_eq!(waited, delay);
            let [
                Command::CallActivity {
                    sequence: 1,
                    input,
                    attempt: made,
                    ..
                },
            ] = &again[..]
            else {
                panic!("{again:?}");
            };
            assert_eq!((&input[..], *made), (&b"1"[..], attempt));
        }
        driver.fail(1, "busy at last");
        assert_eq!(driver.ended().unwrap(), "!Failure: busy at last");
    }
}

/// Failures that a retry cannot fix are returned at once. Errors of the runtime count as failures like any other.
#[test]
fn only_retriable_failures_are_retried() {
    let runtime = |kind| Outcome::Runtime(Error::new(kind, "failed"));
    for kind in [ErrorKind::TimedOut, ErrorKind::Panicked] {
        let mut driver = Driver::started::<Retrying>("\"plain\"");
        assert_eq!(retry(&mut driver, runtime(kind)).0, 1.0);
    }
    for kind in [
        ErrorKind::InvalidArguments,
        ErrorKind::Serialization,
        ErrorKind::Unregistered,
        ErrorKind::Poisonous,
    ] {
        let mut driver = Driver::started::<Retrying>("\"plain\"");
        driver.end(1, runtime(kind));
        assert!(driver.ended().is_some(), "{kind:?}");
    }
    let mut driver = Driver::started::<Retrying>("\"plain\"");
    driver.end(1, Outcome::Returned(Failure::message("broken").non_retriable()));
    assert_eq!(driver.ended().unwrap(), "!Failure: broken");
}

/// A condition decides about each failure.
#[test]
fn a_condition_decides() {
    let mut driver = Driver::started::<Retrying>("\"condition\"");
    retry(&mut driver, busy());
    driver.fail(1, "broken");
    assert_eq!(driver.ended().unwrap(), "!Failure: broken");
}

/// No attempt begins after the time limit of all attempts.
#[test]
fn the_time_for_all_attempts_ends() {
    let mut driver = Driver::started::<Retrying>("\"overall\"");
    // The attempts would begin after one, four and nine seconds.
    let (_, again) = retry(&mut driver, busy());
    assert!(
        matches!(
            again[0],
            Command::CallActivity {
                timeout_ms: Some(500),
                ..
            }
        ),
        "an attempt keeps its options"
    );
    retry(&mut driver, busy());
    driver.fail(1, "busy");
    assert!(driver.ended().is_some());
}

/// Dropping a call that waits for its next attempt cancels that wait, and nothing else.
#[test]
fn a_dropped_call_is_not_repeated() {
    let mut driver = Driver::started::<Retrying>("\"dropped\"");
    assert_eq!(short(&driver.end(1, busy())), ["timer 3"]);
    assert_eq!(short(&driver.raise("drop", "null")), ["cancel 3", "complete 0"]);
}

orchestration!(Default(ctx, own: bool) -> i64, Failure {
    let call = ctx.call_activity::<Stubborn>(1);
    Ok(if own { call.retry(RetryPolicy::new(1)) } else { call }.await?)
});

/// An activity's own policy applies if the call sets none.
#[test]
fn an_activity_has_a_policy_of_its_own() {
    let mut driver = Driver::started::<Default>("false");
    assert_eq!(retry(&mut driver, busy()).0, 1.0);
    assert_eq!(retry(&mut driver, busy()).0, 2.0);
    driver.end(1, busy());
    assert!(driver.ended().is_some());
    let mut driver = Driver::started::<Default>("true");
    driver.end(1, busy());
    assert!(driver.ended().is_some());
}

orchestration!(Parent(ctx, _nothing: ()) -> i64, Failure {
    let child = ctx.call_sub_orchestration::<Default>(true).instance_id("child-1").version("3").tag("k", "v");
    Ok(child.retry(RetryPolicy::new(2)).await?)
});

/// A sub-orchestration is retried under the same id, with the same options.
#[test]
fn a_child_is_repeated_under_its_id() {
    let mut driver = Driver::started::<Parent>("null");
    let (_, again) = retry(&mut driver, busy());
    let [
        Command::StartOrchestration {
            instance,
            version,
            tags,
            attempt,
            wait,
            ..
        },
    ] = &again[..]
    else {
        panic!("{again:?}");
    };
    assert_eq!(
        (instance.as_str(), version.as_deref(), *attempt, *wait),
        ("child-1", Some("3"), 2, true)
    );
    assert_eq!(tags, &[("k".to_owned(), "v".to_owned())]);
    driver.answer(1, "7");
    assert_eq!(driver.ended().unwrap(), "7");
}

macro_rules! patient {
    ($name:ident, $policy:expr) => {
        orchestration!($name(ctx, _nothing: ()) -> i64, Failure {
            Ok(ctx.call_activity::<Double>(1).retry($policy).await?)
        });
    };
}
patient!(Patient, RetryPolicy::new(3).first_interval(Duration::from_secs(1)));
patient!(MorePatient, RetryPolicy::new(9).first_interval(Duration::from_secs(1)));
patient!(Slower, RetryPolicy::new(3).first_interval(Duration::from_secs(2)));
patient!(Impatient, RetryPolicy::new(1));

/// The delays of a policy are steps. A build with another policy diverges where an attempt has failed and the new
/// policy would have waited differently, and nowhere else.
#[test]
fn a_changed_policy_is_a_difference_where_an_attempt_failed() {
    let mut driver = Driver::started::<Patient>("null");
    driver.replay_with::<Slower>().unwrap();
    driver.replay_with::<Impatient>().unwrap();
    driver.fail(1, "no");
    driver.replay_with::<MorePatient>().unwrap();
    assert!(driver.replay_with::<Slower>().is_err());
    assert!(driver.replay_with::<Impatient>().is_err());
}
