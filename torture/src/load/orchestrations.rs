//! The orchestrations and activities of the load.

use std::time::Duration;

use abide::prelude::*;

use super::entities::{Account, Journal, Ticker};
use super::ledger::World;
use super::plan::{ORDER, journal};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) cents: i64,
}

/// Moves money between two accounts, which are locked in the meantime. Returns `false` if there was too little.
#[orchestration]
pub(crate) async fn transfer(ctx: OrchestrationContext, input: Transfer) -> Result<bool, Failure> {
    let (from, to) = (ctx.entity::<Account>(input.from), ctx.entity::<Account>(input.to));
    let _lock = ctx.lock_entities((&from, &to)).await?;
    if !from.withdraw(ctx.instance_id(), input.cents).await? {
        return Ok(false);
    }
    to.deposit(ctx.instance_id(), input.cents).await?;
    Ok(true)
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("the connection was lost")]
pub(crate) struct Lost;

/// Takes the money. The connection breaks as often as the input says.
#[activity(retry(max_attempts = 4, first_interval = "2ms"))]
pub(crate) async fn charge(ctx: ActivityContext, world: Resource<World>, refusals: u32) -> Result<String, Lost> {
    let run = world.begin(ctx.idempotency_key());
    tokio::task::yield_now().await;
    if ctx.attempt() > refusals { Ok(run) } else { Err(Lost) }
}

#[activity]
pub(crate) async fn wrap(ctx: ActivityContext, world: Resource<World>, n: u64) -> String {
    let run = world.begin(ctx.idempotency_key());
    tokio::time::sleep(Duration::from_millis(n % 3)).await;
    run
}

/// Wraps two parcels at the same time.
#[orchestration]
pub(crate) async fn pack(ctx: OrchestrationContext, n: u64) -> Result<Vec<String>, Failure> {
    let (one, two) = (ctx.call_activity::<wrap>(n), ctx.call_activity::<wrap>(n + 1));
    Ok(vec![one.await?, two.await?])
}

/// Returns the id of the sub-orchestration of an order.
pub(crate) fn pack_of(order: &str) -> String {
    format!("{order}-pack")
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) client: u64,
    pub(crate) n: u64,
    pub(crate) refusals: u32,
}

/// Returns how long the n-th order of a client pauses between its first activity and the others. Some pauses are so long
/// that much happens in the meantime.
pub(crate) fn pause_of(n: u64) -> Duration {
    Duration::from_millis(if n % 8 == 5 { 40 } else { n % 5 })
}

/// Returns the runs of the activities that it has the results of.
#[orchestration]
pub(crate) async fn order(ctx: OrchestrationContext, input: Order) -> Result<Vec<String>, Failure> {
    let mut runs = vec![ctx.call_activity::<charge>(input.refusals).await?];
    ctx.create_timer(pause_of(input.n)).await;
    let packed = ctx
        .call_sub_orchestration::<pack>(input.n)
        .instance_id(pack_of(ctx.instance_id()));
    runs.extend(packed.await?);
    runs.push(ctx.wait_for_external_event::<String>("paid").await?);
    let journal = ctx.entity::<Journal>(journal(input.client, ORDER));
    journal.note(input.n, 0).await?;
    Ok(runs)
}

/// A run of the schedule.
#[orchestration]
pub(crate) async fn tick(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.entity::<Ticker>("ticker").tick(ctx.instance_id()).await?)
}
