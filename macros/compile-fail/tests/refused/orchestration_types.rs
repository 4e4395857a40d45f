use abide::prelude::*;

struct NotStored;

type Outcome<T> = Result<T, Failure>;

#[orchestration]
async fn takes(ctx: OrchestrationContext, input: NotStored) {
    let _ = (ctx, input);
}

#[orchestration]
async fn answers(ctx: OrchestrationContext) -> NotStored {
    let _ = ctx;
    NotStored
}

#[orchestration]
async fn answers_or_fails(ctx: OrchestrationContext) -> Result<NotStored, Failure> {
    let _ = ctx;
    Ok(NotStored)
}

#[orchestration]
async fn fails_with_text(ctx: OrchestrationContext) -> Result<i64, String> {
    let _ = ctx;
    Ok(1)
}

#[orchestration]
async fn hidden(ctx: OrchestrationContext) -> Outcome<i64> {
    let _ = ctx;
    Ok(1)
}

mod other {
    use abide::prelude::*;

    type Result<T> = Option<T>;

    #[orchestration]
    async fn no_result(ctx: OrchestrationContext) -> Result<i64> {
        let _ = ctx;
        Some(1)
    }
}

fn main() {}
