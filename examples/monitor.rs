//! Watches a job until it is done, and would do so for years: looks, sleeps, and begins anew.
//!
//! ```text
//! cargo run --example monitor                            looks every 100 ms at a job that takes 600 ms
//! cargo run --example monitor -- EVERY_MS JOB_MS         with other times
//! ```
//!
//! An orchestration that loops keeps all rounds in its history. This one continues as new after each round instead: it
//! ends, and its next execution begins with another input and an empty history. Its id stays the same, and who waits for
//! its result waits on.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use abide::prelude::*;

/// What one execution begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Watch {
    /// The file in which the job says how far it is.
    job: PathBuf,
    every: Duration,
    /// When to give up.
    until: SystemTime,
    /// The rounds so far.
    rounds: u32,
}

#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Done { rounds: u32 },
    GaveUp { percent: u8 },
}

/// Asks the job how far it is, in percent.
#[activity(blocking)]
fn progress_of(job: PathBuf) -> Result<u8, Failure> {
    Ok(std::fs::read_to_string(job)?.trim().parse()?)
}

#[orchestration]
async fn monitor(ctx: OrchestrationContext, watch: Watch) -> Result<Outcome, Failure> {
    let percent = ctx.call_activity::<progress_of>(watch.job.clone()).await?;
    // What anyone can see of it from outside, while it runs.
    ctx.set_custom_status(format!("{percent} %"));
    if percent == 100 {
        return Ok(Outcome::Done {
            rounds: watch.rounds + 1,
        });
    }
    // The clock of an orchestration tells the same in every replay.
    if ctx.current_utc_time() + watch.every > watch.until {
        return Ok(Outcome::GaveUp { percent });
    }
    ctx.create_timer(watch.every).await;
    let rounds = watch.rounds + 1;
    ctx.continue_as_new(Watch { rounds, ..watch }).await
}

/// The job, which knows nothing of its monitor. It writes down how far it is, four times.
async fn work(job: PathBuf, takes: Duration) -> std::io::Result<()> {
    for percent in [25, 50, 75, 100] {
        tokio::time::sleep(takes / 4).await;
        // A file that is renamed is never seen half-written.
        let new = job.with_extension("new");
        std::fs::write(&new, percent.to_string())?;
        std::fs::rename(new, &job)?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let milliseconds = |argument: Option<String>, default| match argument {
        Some(text) => text.parse().map(Duration::from_millis),
        None => Ok(Duration::from_millis(default)),
    };
    let mut arguments = std::env::args().skip(1);
    let every = milliseconds(arguments.next(), 100)?;
    let takes = milliseconds(arguments.next(), 600)?;

    let directory = tempfile::tempdir()?;
    let hub = open(directory.path()).await?;
    let job = directory.path().join("job");
    std::fs::write(&job, "0")?;
    let working = tokio::spawn(work(job.clone(), takes));

    let watch = Watch {
        job,
        every,
        until: SystemTime::now() + Duration::from_secs(60),
        rounds: 0,
    };
    let run = hub.client().start::<monitor>(watch).instance_id("monitor").await?;
    let first = run.status().await?.ok_or("it was started")?.execution_id;
    match run.result().await? {
        Outcome::Done { rounds } => println!("the job is done, seen in round {rounds}"),
        Outcome::GaveUp { percent } => println!("gave up at {percent} %"),
    }
    working.await??;

    let last = run.status().await?.ok_or("it has ended")?;
    println!("its status is {}", last.custom_status.unwrap_or_default());
    println!("the first execution was another one: {}", last.execution_id != first);
    println!("events in the history of the last one: {}", last.history_events);
    hub.shutdown().await?;
    Ok(())
}

async fn open(directory: &Path) -> abide::Result<Hub> {
    Hub::builder(directory.join("hub"))
        .activity::<progress_of>()
        .orchestration::<monitor>()
        .open()
        .await
}
