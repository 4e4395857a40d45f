//! The entities and orchestrations of the tests of shards, in one process and on several nodes.

use abide::HubBuilder;
use abide::prelude::*;

/// Passes a message on, and remembers who sent it.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Relay {
    pub(crate) seen: Vec<u32>,
}

#[operations]
impl Relay {
    /// Passes the number on to so many others, each of which may be in another shard than the one before.
    pub fn pass(&mut self, ctx: &mut EntityContext, n: u32, left: u32) {
        self.seen.push(n);
        if left > 0 {
            let key: u32 = ctx.key().parse().unwrap_or_default();
            ctx.entity::<Relay>(key + 1).pass(n, left - 1).signal();
        }
    }
}

/// An account that can be locked.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Purse {
    pub(crate) cents: i64,
}

#[operations]
impl Purse {
    pub fn add(&mut self, cents: i64) -> i64 {
        self.cents += cents;
        self.cents
    }
}

#[activity]
pub(crate) async fn double(n: i64) -> i64 {
    2 * n
}

#[orchestration]
pub(crate) async fn child(ctx: OrchestrationContext, n: i64) -> Result<i64, Failure> {
    Ok(ctx.call_activity::<double>(n).await?)
}

/// Moves money between two purses under a lock, with the help of a child and an event.
#[orchestration]
pub(crate) async fn transfer(ctx: OrchestrationContext, purses: (u32, u32)) -> Result<i64, Failure> {
    let cents = ctx.call_sub_orchestration::<child>(50).await?;
    let (from, to) = (ctx.entity::<Purse>(purses.0), ctx.entity::<Purse>(purses.1));
    let lock = ctx.lock_entities((&from, &to)).await?;
    from.add(-cents).await?;
    to.add(cents).await?;
    drop(lock);
    ctx.wait_for_external_event::<bool>("go").await?;
    Ok(cents)
}

/// Registers all of it.
pub(crate) fn with_cast(builder: HubBuilder) -> HubBuilder {
    let builder = builder.entity::<Relay>().entity::<Purse>().activity::<double>();
    builder.orchestration::<child>().orchestration::<transfer>()
}
