//! A crate that forbids lints that a marker could trigger. An `allow` in the expansion would be an error here.
#![forbid(warnings, non_camel_case_types, missing_docs, missing_debug_implementations, unused, unsafe_code)]

use abide::{ActivityContext, OrchestrationContext, activity, orchestration};

#[activity]
async fn charge_card(_ctx: ActivityContext, cents: i64) -> i64 {
    cents
}

/// Moves money.
#[orchestration]
pub async fn transfer(_ctx: OrchestrationContext) {}

fn main() {
    let _ = (charge_card, transfer);
}
