mod other {
    pub struct ActivityContext;
    pub struct OrchestrationContext;
}

use abide::prelude::{activity, orchestration};

#[activity]
async fn charge(ctx: other::ActivityContext, cents: i64) -> i64 {
    let _ = ctx;
    cents
}

#[orchestration]
async fn transfer(ctx: other::OrchestrationContext) {
    let _ = ctx;
}

fn main() {}
