use abide::prelude::*;

#[orchestration]
async fn fetch(ctx: OrchestrationContext) {
    ctx.call_http("https://example.org");
}

fn main() {}
