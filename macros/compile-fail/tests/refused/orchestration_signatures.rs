use abide::prelude::*;

#[orchestration]
fn forgot_async(ctx: OrchestrationContext) {
    let _ = ctx;
}

#[orchestration]
async fn no_context() {}

#[orchestration]
async fn no_context_but_an_input(input: String) {
    let _ = input;
}

#[orchestration]
async fn context_last(input: String, ctx: OrchestrationContext) {
    let _ = (ctx, input);
}

#[orchestration]
async fn borrowed_context(ctx: &OrchestrationContext) {
    let _ = ctx;
}

#[orchestration]
async fn other_context(ctx: ActivityContext, read: &ReadContext) {
    let _ = (ctx, read);
}

#[orchestration]
async fn two_inputs(ctx: OrchestrationContext, from: String, to: String) {
    let _ = (ctx, from, to);
}

#[orchestration]
async fn generic<T: ToString>(ctx: OrchestrationContext, input: T) {
    let _ = (ctx, input.to_string());
}

#[orchestration]
async fn borrowed(ctx: OrchestrationContext, [first, second]: [&str; 2]) -> impl ToString {
    let _ = (ctx, first, second);
    String::new()
}

#[orchestration]
async fn endless(ctx: OrchestrationContext) -> ! {
    let _ = ctx;
    loop {}
}

#[orchestration]
async unsafe extern "C" fn foreign(ctx: OrchestrationContext)
where
    String: Clone,
{
    let _ = ctx;
}

fn main() {}
