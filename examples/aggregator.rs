//! Sums up what comes from many sides: entities that are fed by clients, by orchestrations and by each other.
//!
//! ```text
//! cargo run --example aggregator
//! ```
//!
//! Each shop has an entity that adds up its sales, and hands each of them on to the entity of all shops. Tills, which are
//! clients, tell every sale when it happens. What was sold on paper comes in by an orchestration in the evening. All of
//! it comes one way and at the same time, and nobody takes a lock: an entity executes one operation at a time, and every
//! message takes effect once.

use std::time::Duration;

use abide::prelude::*;
use tokio::task::JoinSet;

const SHOPS: [&str; 3] = ["Berlin", "Lagos", "Quito"];
const TILLS: u64 = 4;
const SALES_OF_A_TILL: u64 = 50;
const SALES_ON_PAPER: u64 = 25;

/// What a shop has sold. The shop is the key, and the empty key stands for all of them.
#[derive(Entity, Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sales {
    count: u64,
    cents: u64,
    largest: u64,
}

#[operations]
impl Sales {
    pub fn sold(&mut self, ctx: &mut EntityContext, cents: u64) {
        self.count += 1;
        self.cents += cents;
        self.largest = self.largest.max(cents);
        if !ctx.key().is_empty() {
            ctx.entity::<Sales>("").sold(cents).signal();
        }
    }

    pub fn figures(&self) -> Sales {
        self.clone()
    }
}

/// Reads what was written on paper in a shop. Whoever types it in takes a moment for it.
#[activity]
async fn type_in(shop: String) -> Vec<u64> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let first = SHOPS.iter().position(|name| *name == shop).unwrap_or_default() as u64;
    (0..SALES_ON_PAPER).map(|sale| price(100 * first + sale)).collect()
}

/// The evening of one shop. An orchestration calls activities and signals entities in one flow.
#[orchestration]
async fn evening(ctx: OrchestrationContext, shop: String) -> Result<u64, Failure> {
    let paper = ctx.call_activity::<type_in>(shop.clone()).await?;
    let sales = ctx.entity::<Sales>(&shop);
    for &cents in &paper {
        sales.sold(cents).signal();
    }
    Ok(paper.iter().sum())
}

/// Some price, always the same for the same number.
fn price(number: u64) -> u64 {
    100 + number * 7_919 % 9_901
}

/// One till in one shop: tells its sales, and knows what it took in.
async fn till(client: Client, shop: &'static str, till: u64) -> abide::Result<u64> {
    let sales = client.entity::<Sales>(shop);
    let mut cents = 0;
    for sale in 0..SALES_OF_A_TILL {
        let price = price(1_000 * till + sale);
        sales.sold(price).signal().await?;
        cents += price;
    }
    Ok(cents)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let hub = Hub::builder(directory.path())
        .entity::<Sales>()
        .activity::<type_in>()
        .orchestration::<evening>()
        .open()
        .await?;
    let client = hub.client();

    // All at once. What each of them says that it took in is summed up beside the hub.
    let mut tills = JoinSet::new();
    let mut evenings = Vec::new();
    for shop in SHOPS {
        evenings.push(client.start::<evening>(shop.to_owned()).await?);
        for number in 0..TILLS {
            tills.spawn(till(client.clone(), shop, number));
        }
    }
    let mut taken_in = 0;
    while let Some(till) = tills.join_next().await {
        taken_in += till??;
    }
    for evening in evenings {
        taken_in += evening.result().await?;
    }

    let all = settled(&client).await?;
    for shop in SHOPS {
        let Sales { count, cents, largest } = client.entity::<Sales>(shop).figures().await?;
        println!("{shop}: {count} sales, {cents} cents, {largest} the largest");
    }
    println!(
        "all: {} sales, {} cents, {} the largest",
        all.count, all.cents, all.largest
    );
    println!("taken in: {taken_in} cents");
    hub.shutdown().await?;
    Ok(())
}

/// The figures of all shops, once every sale has been handed on. An entity does not wait for those that it signals, so
/// that the sum may be a moment behind its parts.
async fn settled(client: &Client) -> abide::Result<Sales> {
    loop {
        let mut count = 0;
        for shop in SHOPS {
            count += client.entity::<Sales>(shop).figures().await?.count;
        }
        let all = client.entity::<Sales>("").figures().await?;
        if all.count == count {
            return Ok(all);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
