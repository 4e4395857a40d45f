use abide::prelude::*;

#[activity]
fn forgot_async() {}

#[activity(blocking)]
async fn blocks_and_waits() {}

#[activity]
async fn generic<T: ToString>(value: T) {
    let _ = value.to_string();
}

#[activity]
async fn lifetimes<'a>(text: &'a str) -> &'a str {
    text
}

#[activity]
async fn constrained()
where
    String: Clone,
{
}

#[activity]
async fn implied(value: impl ToString) -> impl ToString {
    value.to_string()
}

#[activity]
async fn pattern((a, b): (i64, i64)) -> i64 {
    a + b
}

#[activity]
async fn two_inputs(ctx: ActivityContext, from: String, to: String) {
    let _ = (ctx, from, to);
}

#[activity]
async fn context_last(from: String, ctx: ActivityContext) {
    let _ = (ctx, from);
}

#[activity]
async fn two_contexts(ctx: ActivityContext, other: ActivityContext) {
    let _ = (ctx, other);
}

#[activity]
async fn borrowed_context(ctx: &ActivityContext) {
    let _ = ctx;
}

#[activity]
async fn other_context(ctx: OrchestrationContext, entity: &mut EntityContext) {
    let _ = (ctx, entity);
}

#[activity]
async unsafe fn not_safe() {}

#[activity(blocking)]
const fn constant() {}

#[activity(blocking)]
extern "C" fn foreign() {}

#[activity(blocking)]
fn endless() -> ! {
    loop {}
}

#[activity]
async fn borrowed(text: &str, callback: Vec<fn()>) -> Option<&'static str> {
    let _ = (text, callback);
    None
}

#[activity]
async fn not_always(#[cfg(unix)] input: u8) {
    let _ = input;
}

fn main() {}
