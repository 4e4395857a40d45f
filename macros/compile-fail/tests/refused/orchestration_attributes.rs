use abide::prelude::*;

#[orchestration(name = "", version = "", unknown)]
async fn all_at_once(ctx: OrchestrationContext) {
    let _ = ctx;
}

#[orchestration(retry(max_attempts = 3), timeout = "1h", limit = 8, blocking, allow(nondeterminism))]
async fn elsewhere(ctx: OrchestrationContext) {
    let _ = ctx;
}

#[orchestration(version = 2)]
async fn no_text(ctx: OrchestrationContext) {
    let _ = ctx;
}

#[orchestration(version = "1", version = "2")]
async fn twice(ctx: OrchestrationContext) {
    let _ = ctx;
}

fn main() {}
