//! Chains: orchestrations that call five activities in sequence. `benches/peers` compares them with other systems.

use std::time::Duration;

use abide::prelude::*;

use crate::load::{Load, closed_loop};

/// An activity that does no work, so that only the overhead of Abide is measured.
#[activity]
pub(crate) async fn nothing(n: u64) -> u64 {
    n
}

/// An orchestration that calls five activities in sequence.
#[orchestration]
pub(crate) async fn chain(ctx: OrchestrationContext, mut n: u64) -> Result<u64, Failure> {
    for _ in 0..5 {
        n = ctx.call_activity::<nothing>(n).await?;
    }
    Ok(n)
}

/// Runs `callers` tasks that repeatedly start a chain and wait for its result, and closes the hub. Nothing is purged.
pub(crate) async fn chains(hub: Hub, callers: usize, warm_up: Duration, measured: Duration) -> Load {
    let client = hub.client();
    let load = closed_loop(callers, warm_up, measured, |caller| {
        let client = client.clone();
        let mut number = 0;
        move || {
            number += 1;
            let start = client
                .start::<chain>(number)
                .instance_id(format!("chain-{caller}-{number}"));
            async move {
                let run = start.await.expect("the start is acknowledged");
                assert_eq!(run.result().await.expect("the chain completes"), number);
            }
        }
    })
    .await;
    hub.shutdown().await.expect("the hub closes");
    load
}
