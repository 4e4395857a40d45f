use abide::prelude::*;

#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Account {}

#[operations]
impl Account {
    pub fn touch(&mut self) {}
}

#[orchestration]
async fn locks_nothing(ctx: OrchestrationContext) -> Result<(), Failure> {
    let account = ctx.entity::<Account>("a");
    let _ = ctx.lock_entities(&account).await?;
    _ = ctx.lock_entities((&account,)).await.unwrap();
    let Ok(_) = ctx.lock_entities([&account]).await else {
        return Ok(());
    };
    let _guard = ctx.lock_entities(&account).await?;
    Ok(())
}

fn main() {}
