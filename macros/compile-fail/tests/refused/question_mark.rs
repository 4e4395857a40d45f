use abide::prelude::*;

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[error("short")]
struct Overdrawn;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account;

#[operations]
impl Account {
    pub fn withdraw(&mut self) -> Result<(), Overdrawn> {
        Ok(())
    }
}

#[activity]
async fn charge(cents: u32) -> Result<u32, Overdrawn> {
    Ok(cents)
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
enum WithoutDerive {
    #[error(transparent)]
    Overdrawn(#[from] Overdrawn),
}

#[orchestration]
async fn without_derive(ctx: OrchestrationContext) -> Result<(), WithoutDerive> {
    ctx.call_activity::<charge>(1).await?;
    Ok(())
}

#[orchestration]
async fn of_an_entity(ctx: OrchestrationContext) -> Result<(), WithoutDerive> {
    ctx.entity::<Account>("alice").withdraw().await?;
    Ok(())
}

#[derive(Debug, thiserror::Error, Serialize, Deserialize, FromCallError)]
enum WithoutFrom {
    #[error(transparent)]
    Runtime(#[from] CallError),
}

#[orchestration]
async fn without_from(ctx: OrchestrationContext) -> Result<(), WithoutFrom> {
    ctx.entity::<Account>("alice").withdraw().await?;
    Ok(())
}

fn main() {}
