//! A sequence of activities: each one starts when the previous one has ended, and can use its result.
//!
//! ```text
//! cargo run --example hello_sequence                 keeps its state in ./hello-data
//! cargo run --example hello_sequence DIRECTORY       keeps its state in DIRECTORY
//! ```
//!
//! The orchestration reads like a loop with a few calls. It is durable because the result of every call is persisted.
//! After a crash, the function runs again from its beginning with the recorded results, and resumes where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use abide::prelude::*;

/// Counts the activities that ran. The hub does not store it. It is a resource that is added when the hub opens, like a
/// connection pool or an HTTP client.
type Ran = Arc<AtomicU32>;

/// An activity does the real work. It may read files, call other systems and read the clock.
#[activity]
async fn say_hello(ran: Resource<Ran>, city: String) -> String {
    ran.fetch_add(1, Ordering::Relaxed);
    format!("Hello, {city}!")
}

/// Combines the results of other activities.
#[activity]
async fn make_card(ran: Resource<Ran>, greetings: Vec<String>) -> String {
    ran.fetch_add(1, Ordering::Relaxed);
    greetings.join("\n")
}

/// An orchestration decides which activities run, and when.
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
    // Awaiting a start waits until it is on disk. From then on, the orchestration runs to its end, despite any crash.
    let run = hub
        .client()
        .start::<hello_sequence>(cities)
        .instance_id("hello")
        .await?;
    println!("{}", run.result().await?);
    println!("activities so far: {}", ran.load(Ordering::Relaxed));
    hub.shutdown().await?;

    // The result is on disk as well. Reading it again runs nothing.
    let hub = open(&directory, &ran).await?;
    let run = hub.client().orchestration::<hello_sequence>("hello");
    println!(
        "after a restart the card has {} lines",
        run.result().await?.lines().count()
    );
    println!("activities so far: {}", ran.load(Ordering::Relaxed));
    hub.shutdown().await
}

#[cfg(test)]
#[path = "tests/cases/hello_sequence.rs"]
mod tests;
