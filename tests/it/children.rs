//! Purging an orchestration together with its sub-orchestrations.
//!
//! See docs/src/guarantees.md, "Stopped, failed, ended".

use std::collections::BTreeSet;

use abide::prelude::*;
use abide::{OrchestrationContext, OrchestrationStatus, orchestration};

use crate::fixtures::until;

/// Returns at once.
#[orchestration]
async fn child(_ctx: OrchestrationContext, n: u32) -> u32 {
    n
}

/// Waits for the event `go`.
#[orchestration]
async fn waits(ctx: OrchestrationContext) -> Result<(), Failure> {
    Ok(ctx.wait_for_external_event::<()>("go").await?)
}

/// In each of `rounds` executions, waits for a child and starts an orchestration without waiting for it.
#[orchestration]
async fn rounds(ctx: OrchestrationContext, rounds: u32) -> Result<(), Failure> {
    ctx.call_sub_orchestration::<child>(rounds).await?;
    ctx.start_orchestration::<child>(rounds)
        .instance_id(format!("one-way-{rounds}"));
    match rounds {
        0 | 1 => Ok(()),
        _ => ctx.continue_as_new(rounds - 1).await,
    }
}

/// Calls `rounds` and `waits` as children.
#[orchestration]
async fn elder(ctx: OrchestrationContext) -> Result<(), Failure> {
    let waiting = ctx.call_sub_orchestration::<waits>(()).instance_id("waiting");
    ctx.call_sub_orchestration::<rounds>(3).await?;
    Ok(waiting.await?)
}

async fn ids(client: &Client) -> BTreeSet<String> {
    let page = client.orchestrations().page_size(1_000).page().await.unwrap();
    page.items.into_iter().map(|one| one.id).collect()
}

/// A purge with children removes the children of every execution and their descendants, even after `continue_as_new`.
/// It keeps orchestrations that were started without waiting, and children that are running again.
#[tokio::test(flavor = "multi_thread")]
async fn a_purge_with_children_forgets_those_of_every_execution() {
    let builder = Hub::in_memory()
        .executors(2)
        .orchestration::<child>()
        .orchestration::<waits>();
    let hub = builder
        .orchestration::<rounds>()
        .orchestration::<elder>()
        .open()
        .await
        .unwrap();
    let client = hub.client();
    let run = client.start::<elder>(()).await.unwrap();
    let waiting = client.untyped_orchestration("waiting");
    until(async || waiting.status().await.unwrap().is_some()).await;
    waiting.raise_event("go", ()).await.unwrap();
    run.result().await.unwrap();
    // The orchestrations that were started without waiting may appear after the end of their starter.
    until(async || ids(&client).await.len() == 1 + 2 + 3 + 3).await;
    waiting.restart().await.unwrap();

    run.purge().with_children().await.unwrap();
    let stay = ["one-way-1", "one-way-2", "one-way-3", "waiting"].map(str::to_owned);
    until(async || ids(&client).await == BTreeSet::from(stay.clone())).await;
    let status = waiting.status().await.unwrap().unwrap();
    assert_eq!(status.status, OrchestrationStatus::Running);
    hub.shutdown().await.unwrap();
}
