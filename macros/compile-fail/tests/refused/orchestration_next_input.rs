use abide::prelude::*;

#[orchestration]
async fn counts(ctx: OrchestrationContext, round: u64) -> Result<(), Failure> {
    match round {
        0 => ctx.continue_as_new("one").await,
        1 => ctx.continue_as_new(round + 1).await,
        2 => ctx.continue_as_new(&round).discard_events().await,
        3 => ctx.continue_as_new(vec![round]).discard_events().await,
        4 => ctx.continue_as_new(0).await,
        // The input type of another version is not known here.
        5 => ctx.continue_as_new("two").version("2").await,
        _ => Ok(()),
    }
}

#[orchestration]
async fn takes_nothing(ctx: OrchestrationContext) {
    ctx.continue_as_new(5).await
}

fn main() {}
