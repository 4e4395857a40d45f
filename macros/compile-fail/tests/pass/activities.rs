//! Every form of an activity that the documentation shows, in a crate that denies what users deny.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused_qualifications, dead_code)]
#![deny(rust_2018_idioms, unsafe_code, unused_lifetimes, let_underscore_drop)]
#![forbid(non_camel_case_types)]

use abide::{Activity, ActivityOptions};
use abide::prelude::*;

/// What is asked for.
#[derive(Debug, Deserialize, Serialize)]
pub struct Card {
    cents: i64,
}

/// The card has not enough.
#[derive(Debug, thiserror::Error, Deserialize, Serialize)]
#[error("declined")]
pub struct Declined;

/// Charges a card.
#[activity(
    name = "charge",
    timeout = "1m30s",
    limit = 8,
    retry(max_attempts = 3, first_interval = "1s", backoff = 2, max_interval = "1m", timeout = "10m"),
)]
pub async fn charge_card(ctx: ActivityContext, mut card: Card) -> Result<i64, Declined> {
    std::future::ready(ctx.idempotency_key()).await;
    card.cents += 1;
    if card.cents < 0 { Err(Declined) } else { Ok(card.cents) }
}

#[activity]
async fn add((): ()) {}

fn main() {}
