use abide::prelude::*;

#[activity]
fn blocks(path: String) -> String {
    path
}

#[activity]
async fn borrows(name: &str) -> Result<usize, Failure> {
    Ok(name.len())
}

#[orchestration]
async fn without_context(input: u32) -> Result<u32, Failure> {
    Ok(input)
}

#[orchestration]
async fn calls(ctx: OrchestrationContext) -> Result<usize, Failure> {
    let path: String = ctx.call_activity::<blocks>("a".into()).await?;
    let length: usize = ctx.call_activity::<borrows>("a").await?;
    ctx.call_sub_orchestration::<without_context>(1).await?;
    Ok(path.len() + length)
}

fn main() {
    let _ = Hub::in_memory().activity::<blocks>().activity::<borrows>().orchestration::<without_context>();
}
