//! The smallest durable program: a counter that goes on where it stopped.
//!
//! ```text
//! cargo run --example counter                 keeps its state in ./counter-data
//! cargo run --example counter DIRECTORY       keeps it there
//! ```
//!
//! Run it twice, or kill it in the middle: what was acknowledged is there.

use abide::prelude::*;

/// The state is the struct: this is what is stored.
#[derive(Entity, Default, Clone, Serialize, Deserialize)]
struct Counter {
    total: i64,
}

/// Every `pub fn` is an operation. They run one at a time.
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

    // A signal goes one way. Awaiting it waits until it is on disk.
    visits.add(1).signal().await?;
    // A call waits for the answer, and an answer is given when its effect is on disk.
    println!("after a signal and a call: {}", visits.add(1).await?);
    hub.shutdown().await?;

    // A hub that is opened again has everything, whether the last one was shut down or killed.
    let hub = Hub::builder(&directory).entity::<Counter>().open().await?;
    let visits = hub.client().entity::<Counter>("visits");
    println!("after a restart: {}", visits.total().await?);
    hub.shutdown().await
}
