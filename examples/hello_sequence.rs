//! Activities one after the other: each begins when the one before it has ended, and may use what it found.
//!
//! ```text
//! cargo run --example hello_sequence                 keeps its state in ./hello-data
//! cargo run --example hello_sequence DIRECTORY       keeps it there
//! ```
//!
//! The orchestration reads like a loop with a few calls. What makes it durable is that the result of every call is
//! written down: after a crash the function runs again from its beginning, is given the results that it had, and goes on
//! where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abide::prelude::*;

/// Counts the activities that ran. The hub does not store it: it is given to the hub when it opens, as a connection pool
/// or an HTTP client would be.
type Ran = Arc<AtomicU32>;

/// An activity is where the real work is done. It may read files, ask other systems and look at the clock.
#[activity]
async fn say_hello(ran: Resource<Ran>, city: String) -> String {
    ran.fetch_add(1, Ordering::Relaxed);
    format!("Hello, {city}!")
}

/// It takes what other activities made.
#[activity]
async fn make_card(ran: Resource<Ran>, greetings: Vec<String>) -> String {
    ran.fetch_add(1, Ordering::Relaxed);
    greetings.join("\n")
}

/// An orchestration decides what is done, and when.
#[orchestration]
async fn hello_sequence(ctx: OrchestrationContext, cities: Vec<String>) -> Result<String, Failure> {
    let mut greetings = Vec::new();
    for city in cities {
        greetings.push(ctx.call_activity::<say_hello>(city).await?);
    }
    Ok(ctx.call_activity::<make_card>(greetings).await?)
}

async fn open(directory: &str, ran: &Ran) -> abide::Result<Hub> {
    Hub::builder(directory)
        .resource(Ran::clone(ran))
        .activity::<say_hello>()
        .activity::<make_card>()
        .orchestration::<hello_sequence>()
        .open()
        .await
}

#[tokio::main]
async fn main() -> abide::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or("./hello-data".into());
    let cities = ["Tokyo", "Seattle", "London"].map(String::from).to_vec();

    let ran = Ran::default();
    let hub = open(&directory, &ran).await?;
    // Awaiting a start waits until it is on disk. From there on the orchestration comes to its end, whatever happens.
    let run = hub
        .client()
        .start::<hello_sequence>(cities)
        .instance_id("hello")
        .await?;
    println!("{}", run.result().await?);
    println!("activities so far: {}", ran.load(Ordering::Relaxed));
    hub.shutdown().await?;

    // The end is on disk as well. Asking for it again runs nothing.
    let hub = open(&directory, &ran).await?;
    let run = hub.client().orchestration::<hello_sequence>("hello");
    println!(
        "after a restart the card has {} lines",
        run.result().await?.lines().count()
    );
    println!("activities so far: {}", ran.load(Ordering::Relaxed));
    hub.shutdown().await
}
