//! The smallest durable program: a counter that resumes where it stopped.
//!
//! ```text
//! cargo run --example counter                 keeps its state in ./counter-data
//! cargo run --example counter DIRECTORY       keeps its state in DIRECTORY
//! ```
//!
//! Run it twice, or kill it while it runs: all acknowledged changes are kept.

use abide::prelude::*;

/// The struct is the state of the entity, which is stored.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Counter {
    total: i64,
}

/// Every `pub fn` is an operation. The operations of an entity run one at a time.
#[operations]
impl Counter {
    pub fn add(&mut self, n: i64) -> i64 {
        self.total += n;
        self.total
    }

    pub fn total(&self) -> i64 {
        self.total
    }
}

#[tokio::main]
async fn main() -> abide::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or("./counter-data".into());

    let hub = Hub::builder(&directory).entity::<Counter>().open().await?;
    let visits = hub.client().entity::<Counter>("visits");
    println!("found: {}", visits.total().await?);

    // A signal is one-way. Awaiting it waits until it is on disk.
    visits.add(1).signal().await?;
    // A call waits for the result, which is returned when the effect of the operation is on disk.
    println!("after a signal and a call: {}", visits.add(1).await?);
    hub.shutdown().await?;

    // A reopened hub has the complete state, whether the last one was shut down or killed.
    let hub = Hub::builder(&directory).entity::<Counter>().open().await?;
    let visits = hub.client().entity::<Counter>("visits");
    println!("after a restart: {}", visits.total().await?);
    hub.shutdown().await
}

#[cfg(test)]
#[path = "tests/cases/counter.rs"]
mod tests;
