use abide::prelude::*;

/// Neither of these functions has an attribute.
async fn charge(cents: u32) -> u32 {
    cents
}

async fn transfer(_ctx: OrchestrationContext) {}

#[orchestration]
async fn calls(ctx: OrchestrationContext) -> Result<u32, Failure> {
    Ok(ctx.call_activity::<charge>(1).await?)
}

async fn starts(client: Client) {
    let _ = client.start::<transfer>(()).await;
}

fn main() {}
