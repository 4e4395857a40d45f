use abide::prelude::*;

#[activity]
struct Activity;

#[orchestration]
const ORCHESTRATION: u8 = 1;

#[activity]
#[orchestration]
async fn both(ctx: OrchestrationContext) {
    let _ = ctx;
}

struct Bank;

impl Bank {
    #[activity]
    async fn charge(&self, cents: i64) -> i64 {
        cents
    }

    #[orchestration]
    async fn transfer(&self, ctx: OrchestrationContext) {
        let _ = ctx;
    }
}

fn main() {}
