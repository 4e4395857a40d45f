//! Waits for people: an expense is approved, or refused, or goes to somebody else when nobody answers.
//!
//! ```text
//! cargo run --example approval                     everybody has 400 ms to answer
//! cargo run --example approval -- PATIENCE_MS      or this long
//! ```
//!
//! In life the patience is days. It makes no difference: while an orchestration waits, it needs no thread and, if the
//! memory is needed for others, no memory. The hub may be closed meanwhile.

use std::time::Duration;

use abide::prelude::*;
use futures::future::{Either, select};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Expense {
    what: String,
    euros: u32,
    /// How long each of the approvers has.
    patience: Duration,
}

/// What a person says. It comes in as an external event.
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
    /// Nobody answered.
    Lapsed,
}

/// Who is asked, one after the other.
const APPROVERS: [&str; 2] = ["the team lead", "the manager"];

/// Tells a person that a decision is wanted. A real one would send a mail, with the id of the orchestration in it.
#[activity]
async fn ask(ctx: ActivityContext, whom: String) {
    tracing::info!(whom, expense = ctx.instance_id(), "a decision is wanted");
}

#[orchestration]
async fn approval(ctx: OrchestrationContext, expense: Expense) -> Result<Outcome, Failure> {
    // One wait for all of them: whoever decides, decides, also if it is no longer their turn.
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
            // The time is over. The event is still waited for while the next one is asked.
            Either::Right(((), waiting)) => decision = waiting,
        }
    }
    Ok(Outcome::Lapsed)
}

/// Waits until an approval says of itself that it waits for this person, or has ended: this is how the people of this
/// example learn that they are wanted.
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
    // It is on disk when this returns, whenever the orchestration will read it.
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

    // The team lead answers for two of them, and has not seen the others. An event that comes before it is waited for is
    // kept.
    decide(&chair, "the team lead", true).await?;
    decide(&car, "the team lead", false).await?;

    // The trip goes on to the manager. For the plant the manager has no time either.
    turn_of(&trip, "the manager").await?;
    decide(&trip, "the manager", true).await?;

    for run in [chair, car, trip, plant] {
        println!("{}: {:?}", run.id(), run.result().await?);
    }
    hub.shutdown().await?;
    Ok(())
}
