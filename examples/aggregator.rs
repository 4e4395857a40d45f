//! Aggregates data from many sources: entities receive signals from clients, orchestrations and each other.
//!
//! ```text
//! cargo run --example aggregator
//! ```
//!
//! Each shop has an entity that adds up its sales and forwards each sale to the entity of all shops. Tills, which are
//! clients, signal every sale when it happens. In the evening, an orchestration adds the sales recorded on paper. All
//! signals are one-way and concurrent, without any locks: an entity executes one operation at a time, and every message
//! takes effect once.

use std::time::Duration;

use abide::prelude::*;
use tokio::task::JoinSet;

const SHOPS: [&str; 3] = ["Berlin", "Lagos", "Quito"];
const TILLS: u64 = 4;
const SALES_OF_A_TILL: u64 = 50;
const SALES_ON_PAPER: u64 = 25;

/// The sales of a shop. The key is the name of the shop, or empty for all shops together.
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

/// Returns the sales that a shop recorded on paper. Typing them in takes a moment.
#[activity]
async fn type_in(shop: String) -> Vec<u64> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let first = SHOPS.iter().position(|name| *name == shop).unwrap_or_default() as u64;
    (0..SALES_ON_PAPER).map(|sale| price(100 * first + sale)).collect()
}

/// Adds the paper sales of one shop in the evening. An orchestration calls activities and signals entities in one flow.
#[orchestration]
async fn evening(ctx: OrchestrationContext, shop: String) -> Result<u64, Failure> {
    let paper = ctx.call_activity::<type_in>(shop.clone()).await?;
    let sales = ctx.entity::<Sales>(&shop);
    for &cents in &paper {
        sales.sold(cents).signal();
    }
    Ok(paper.iter().sum())
}

/// Returns a price, always the same for the same number.
fn price(number: u64) -> u64 {
    100 + number * 7_919 % 9_901
}

/// Runs one till in one shop: signals its sales and returns their total.
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

    // Everything runs concurrently. The totals that the tills and orchestrations return are added up outside the hub.
    let mut tills = JoinSet::new();
    let mut evenings = Vec::new();
    for shop in SHOPS {
        evenings.push(client.start::<evening>(shop.to_owned()).await?);
        for number in 0..TILLS {
            tills.spawn(till(client.clone(), shop, number));
        }
    }
    let mut expected = 0;
    while let Some(till) = tills.join_next().await {
        expected += till??;
    }
    for evening in evenings {
        expected += evening.result().await?;
    }

    // An entity does not wait for the entities that it signals, so the total may be briefly behind its parts.
    hub.idle().await?;
    let all = client.entity::<Sales>("").figures().await?;
    for shop in SHOPS {
        let Sales { count, cents, largest } = client.entity::<Sales>(shop).figures().await?;
        println!("{shop}: {count} sales, {cents} cents, largest {largest}");
    }
    println!("all: {} sales, {} cents, largest {}", all.count, all.cents, all.largest);
    println!("expected: {expected} cents");
    hub.shutdown().await?;
    Ok(())
}

#[cfg(test)]
#[path = "tests/cases/aggregator.rs"]
mod tests;
