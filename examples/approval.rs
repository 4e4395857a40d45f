//! Waits for people: an expense is approved or refused, or is escalated if the approver does not answer in time.
//!
//! ```text
//! cargo run --example approval                     each approver has 400 ms to answer
//! cargo run --example approval -- PATIENCE_MS      each approver has this many milliseconds
//! ```
//!
//! In production, the patience would be days, which makes no difference. A waiting orchestration needs no thread, and
//! the hub can reclaim its memory for others. The hub can even be closed in the meantime.

use std::time::Duration;

use abide::prelude::*;
use futures::future::{Either, select};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Expense {
    what: String,
    euros: u32,
    /// The time that each approver has to answer.
    patience: Duration,
}

/// The decision of a person, which arrives as an external event.
#[derive(Debug, Serialize, Deserialize)]
struct Decision {
    by: String,
    approved: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Approved {
        by: String,
    },
    Refused {
        by: String,
    },
    /// No approver answered.
    Lapsed,
}

/// The approvers, in the order in which they are asked.
const APPROVERS: [&str; 2] = ["the team lead", "the manager"];

/// Asks a person for a decision. A real implementation would send an email with the id of the orchestration.
#[activity]
async fn ask(ctx: ActivityContext, whom: String) {
    tracing::info!(whom, expense = ctx.instance_id(), "decision requested");
}

#[orchestration]
async fn approval(ctx: OrchestrationContext, expense: Expense) -> Result<Outcome, Failure> {
    // A single wait covers all approvers: a decision counts even if it arrives after the approver's turn.
    let mut decision = ctx.wait_for_external_event::<Decision>("decision");
    for approver in APPROVERS {
        ctx.call_activity::<ask>(approver.to_owned()).await?;
        ctx.set_custom_status(format!("waiting for {approver}"));
        // A race of two durable futures. The loser is dropped, and dropping a timer cancels it.
        match select(decision, ctx.create_timer(expense.patience)).await {
            Either::Left((decision, _)) => {
                let Decision { by, approved } = decision?;
                return Ok(match approved {
                    true => Outcome::Approved { by },
                    false => Outcome::Refused { by },
                });
            }
            // The time is up. The wait for the event continues while the next approver is asked.
            Either::Right(((), waiting)) => decision = waiting,
        }
    }
    Ok(Outcome::Lapsed)
}

/// Waits until the custom status of an approval shows that it waits for this person, or until it has ended. This is how
/// the people in this example notice that they are asked.
async fn turn_of(run: &OrchestrationHandle<approval>, person: &str) -> abide::Result<()> {
    let wanted = format!("\"waiting for {person}\"");
    loop {
        match run.status().await? {
            Some(info) if info.custom_status.as_ref() == Some(&wanted) || info.status.is_terminal() => return Ok(()),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn decide(run: &OrchestrationHandle<approval>, by: &str, approved: bool) -> abide::Result<()> {
    let decision = Decision {
        by: by.to_owned(),
        approved,
    };
    // When this returns, the event is on disk, no matter when the orchestration reads it.
    run.raise_event("decision", decision).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let patience = match std::env::args().nth(1) {
        Some(milliseconds) => Duration::from_millis(milliseconds.parse()?),
        None => Duration::from_millis(400),
    };
    let directory = tempfile::tempdir()?;
    let hub = Hub::builder(directory.path())
        .activity::<ask>()
        .orchestration::<approval>()
        .open()
        .await?;
    let client = hub.client();
    let start = |what: &str, euros| {
        client.start::<approval>(Expense {
            what: what.to_owned(),
            euros,
            patience,
        })
    };

    let chair = start("a chair", 90).instance_id("chair").await?;
    let car = start("a car", 30_000).instance_id("car").await?;
    let trip = start("a trip", 900).instance_id("trip").await?;
    let plant = start("a plant", 9).instance_id("plant").await?;

    // The team lead answers two of the requests and has not seen the others. An event that arrives before the
    // orchestration waits for it is kept.
    decide(&chair, "the team lead", true).await?;
    decide(&car, "the team lead", false).await?;

    // The trip is escalated to the manager. The manager does not answer for the plant either.
    turn_of(&trip, "the manager").await?;
    decide(&trip, "the manager", true).await?;

    for run in [chair, car, trip, plant] {
        println!("{}: {:?}", run.id(), run.result().await?);
    }
    hub.shutdown().await?;
    Ok(())
}

#[cfg(test)]
#[path = "tests/cases/approval.rs"]
mod tests;
