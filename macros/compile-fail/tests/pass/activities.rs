//! Every documented form of an activity, in a crate that denies the lints that users deny.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications)]
#![deny(rust_2018_idioms, unsafe_code, unused_lifetimes, let_underscore_drop)]

use std::time::Duration;

use abide::prelude::*;
use abide::{Activity, activity::ActivityOptions};

/// The input of an activity.
#[derive(Debug, Deserialize, Serialize)]
pub struct Card {
    cents: i64,
}

/// The card does not cover the amount.
#[derive(Debug, thiserror::Error, Deserialize, Serialize)]
#[error("declined")]
pub struct Declined;

/// Charges a card.
#[activity(
    name = "charge",
    timeout = "1m30s",
    limit = 8,
    retry(max_attempts = 3, first_interval = "1s", backoff = 2, max_interval = "1m", timeout = "10m")
)]
pub async fn charge_card(ctx: ActivityContext, mut card: Card) -> Result<i64, Declined> {
    std::future::ready(ctx.idempotency_key()).await;
    card.cents -= 1;
    if card.cents < 0 { Err(Declined) } else { Ok(card.cents) }
}

/// Reads a file.
#[activity(blocking)]
pub fn read_config(path: String) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(path)?)
}

#[activity(blocking, retry(max_attempts = 1))]
fn compute(ctx: ActivityContext) -> u64 {
    ctx.attempt().into()
}

#[activity]
async fn clean_up() {}

#[activity]
async fn ping(_: ActivityContext) {}

#[activity(retry(max_attempts = 2, first_interval = "0s", backoff = 1.5),)]
async fn r#move(_: (u8, Vec<String>)) -> abide::Result<(), NoError> {
    Ok(())
}

mod aliased {
    use abide::prelude::*;

    type Result<T, E = Failure> = std::result::Result<T, E>;

    #[activity(timeout = "1ms")]
    pub(crate) async fn parse(text: String) -> Result<i64> {
        Ok(text.parse()?)
    }
}

/// An activity of an older version.
#[deprecated = "use `charge_card`"]
#[activity]
pub async fn old() {}

#[activity]
#[cfg(any())]
async fn not_there(input: NotThere) {}

fn main() {
    // An activity inside a function.
    #[activity]
    async fn inner(text: String) -> usize {
        text.len()
    }

    let minute = Duration::from_secs(60);
    let retry = RetryPolicy::new(3).first_interval(Duration::from_secs(1)).backoff(2.0);
    let options = ActivityOptions::new().timeout(Duration::from_secs(90)).limit(8);
    assert_eq!(charge_card::NAME, "charge");
    assert_eq!(
        charge_card::OPTIONS,
        options.retry(retry.max_interval(minute).timeout(10 * minute))
    );
    assert_eq!(read_config::OPTIONS, ActivityOptions::new().blocking());
    assert_eq!((r#move::NAME, inner::NAME), ("move", "inner"));
    assert_eq!(clean_up::OPTIONS, ActivityOptions::new());
    assert_eq!(aliased::parse::OPTIONS, ActivityOptions::new().timeout(Duration::from_millis(1)));

    // The functions remain ordinary functions.
    let _ = (charge_card, compute, ping, r#move, aliased::parse, inner);
    assert!(read_config(String::new()).is_err());

    fn types<A: Activity<Input = I, Output = O, Error = E>, I, O, E>() {}
    types::<charge_card, Card, i64, Declined>();
    types::<read_config, String, String, Failure>();
    types::<compute, (), u64, NoError>();
    types::<clean_up, (), (), NoError>();
    types::<ping, (), (), NoError>();
    types::<r#move, (u8, Vec<String>), (), NoError>();
    types::<aliased::parse, String, i64, Failure>();
    types::<inner, String, usize, NoError>();
}
