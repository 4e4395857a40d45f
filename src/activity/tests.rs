//! Activities driven by hand, as the runtime drives them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;
use crate::engine::code::{Attempt, CancelSignal};
use crate::id::{ActivityKey, ExecutionId, InstanceId};
use crate::model::Outcome;
use crate::resource::Resources;
use crate::{ErrorKind, Failure, RetryPolicy};

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    amount: u32,
    #[serde(default)]
    express: bool,
}

/// An error type of the user.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("no {what} left")]
struct SoldOut {
    what: String,
}

struct Ship;

impl Activity for Ship {
    const NAME: &'static str = "ship";
    const OPTIONS: ActivityOptions = ActivityOptions::new()
        .timeout(Duration::from_secs(30))
        .limit(8)
        .retry(RetryPolicy::new(3));
    type Input = Order;
    type Output = Option<f64>;
    type Error = SoldOut;

    fn run(context: ActivityContext, order: Order) -> BoxFuture<Result<Option<f64>, SoldOut>> {
        Box::pin(async move {
            assert!(!context.is_canceled());
            match order.amount {
                0 => Err(SoldOut { what: "milk".into() }),
                amount => Ok((!order.express).then_some(f64::from(amount))),
            }
        })
    }
}

/// An activity without input.
struct Tick;

impl Activity for Tick {
    const NAME: &'static str = "tick";
    const OPTIONS: ActivityOptions = ActivityOptions::new().blocking();
    type Input = ();
    type Output = ();
    type Error = Failure;

    fn run(_: ActivityContext, (): ()) -> BoxFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Err(Failure::message("off").non_retriable())))
    }
}

#[derive(Debug)]
struct Never;

impl CancelSignal for Never {
    fn is_canceled(&self) -> bool {
        false
    }
    fn canceled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

async fn run<A: Activity>(input: &str) -> Outcome {
    let attempt = Attempt {
        activity: ActivityKey {
            instance: InstanceId::trusted("order-1"),
            execution: ExecutionId::default(),
            sequence: 3,
        },
        asked_by: ExecutionId([7; 16]),
        number: 1,
        payload_bytes: 1_000,
        canceled: Arc::new(Never),
        trace: None,
        resources: Resources::default(),
    };
    activity_code::<A>().run(input.into(), attempt).await
}

/// The engine sees the options of the activity.
#[test]
fn the_engine_sees_the_options() {
    let (ship, tick) = (activity_code::<Ship>(), activity_code::<Tick>());
    assert_eq!((ship.name(), tick.name()), ("ship", "tick"));
    assert_eq!((ship.limit(), tick.limit()), (Some(8), None));
    assert_eq!((ship.timeout(), tick.timeout()), (Some(Duration::from_secs(30)), None));
    assert_eq!((ship.is_blocking(), tick.is_blocking()), (false, true));
    assert_eq!(Ship::OPTIONS.retry_policy(), Some(RetryPolicy::new(3)));
}

/// Outputs and errors have the form in which they are stored: JSON, and a failure with type, details and flag.
#[tokio::test]
async fn an_attempt_ends_with_what_is_stored() {
    let answer = |ended| match ended {
        Outcome::Answer(json) => String::from_utf8(json).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(answer(run::<Ship>(r#"{"amount":2}"#).await), "2.0");
    assert_eq!(
        answer(run::<Ship>(r#" {"amount":2,"express":true,"new":1} "#).await),
        "null"
    );
    let failure = |ended| match ended {
        Outcome::Returned(failure) => failure,
        other => panic!("{other:?}"),
    };
    let sold_out = failure(run::<Ship>(r#"{"amount":0}"#).await);
    assert_eq!(
        (sold_out.error_type.as_str(), sold_out.message.as_str()),
        ("SoldOut", "no milk left")
    );
    assert_eq!(sold_out.details.as_deref(), Some(r#"{"what":"milk"}"#));
    assert!(!sold_out.non_retriable);
    for nothing in ["null", ""] {
        assert!(failure(run::<Tick>(nothing).await).non_retriable);
    }
}

/// The error for an input that does not decode names the activity, the type, the field and the position.
#[tokio::test]
async fn an_input_that_does_not_decode_is_reported_in_full() {
    for (input, parts) in [
        ("{}", ["missing field `amount`", "line 1 column 2"]),
        (r#"{"amount":-1}"#, ["integer `-1`, expected u32", "line 1 column 12"]),
        (r#"{"amount":1} x"#, ["trailing data after the value", "from byte 13"]),
    ] {
        let ended = run::<Ship>(input).await;
        let Outcome::Runtime(error) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!(error.kind(), ErrorKind::InvalidArguments);
        let text = error.to_string();
        for part in parts.into_iter().chain(["`ship`", "order-1/", "Order`"]) {
            assert!(text.contains(part), "{part}: {text}");
        }
        let checked = activity_code::<Ship>().check_input(input.as_bytes()).unwrap_err();
        assert!(text.ends_with(&checked), "{text}: {checked}");
    }
}
