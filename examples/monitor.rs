//! Monitors a job until it is done, for years if necessary: checks it, sleeps, and continues as new.
//!
//! ```text
//! cargo run --example monitor                            checks a job that takes 600 ms every 100 ms
//! cargo run --example monitor -- EVERY_MS JOB_MS         uses other times
//! ```
//!
//! An orchestration that loops keeps all rounds in its history. This one continues as new after each round instead: it
//! ends, and its next execution starts with a new input and an empty history. Its id stays the same, and clients that
//! wait for its result keep waiting.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use abide::prelude::*;

/// The input of one execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Watch {
    /// The file in which the job reports its progress.
    job: PathBuf,
    every: Duration,
    /// The time at which the monitor gives up.
    until: SystemTime,
    /// The number of rounds so far.
    rounds: u32,
}

#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Done { rounds: u32 },
    GaveUp { percent: u8 },
}

/// Reads the progress of the job, in percent.
#[activity(blocking)]
fn progress_of(job: PathBuf) -> Result<u8, Failure> {
    Ok(std::fs::read_to_string(job)?.trim().parse()?)
}

#[orchestration]
async fn monitor(ctx: OrchestrationContext, watch: Watch) -> Result<Outcome, Failure> {
    let percent = ctx.call_activity::<progress_of>(watch.job.clone()).await?;
    // Clients can read the custom status while the orchestration runs.
    ctx.set_custom_status(format!("{percent} %"));
    if percent == 100 {
        return Ok(Outcome::Done {
            rounds: watch.rounds + 1,
        });
    }
    // The clock of an orchestration returns the same time in every replay.
    if ctx.current_utc_time() + watch.every > watch.until {
        return Ok(Outcome::GaveUp { percent });
    }
    ctx.create_timer(watch.every).await;
    let rounds = watch.rounds + 1;
    ctx.continue_as_new(Watch { rounds, ..watch }).await
}

/// The job, which is independent of its monitor. It reports its progress four times.
async fn work(job: PathBuf, takes: Duration) -> std::io::Result<()> {
    for percent in [25, 50, 75, 100] {
        tokio::time::sleep(takes / 4).await;
        // A rename makes the new content visible atomically.
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
    let first = run.status().await?.ok_or("the monitor was started")?.execution_id;
    match run.result().await? {
        Outcome::Done { rounds } => println!("the job is done, detected in round {rounds}"),
        Outcome::GaveUp { percent } => println!("gave up at {percent} %"),
    }
    working.await??;

    let last = run.status().await?.ok_or("the monitor has ended")?;
    println!("custom status: {}", last.custom_status.unwrap_or_default());
    println!("execution id changed: {}", last.execution_id != first);
    println!("events in the last history: {}", last.history_events);
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

#[cfg(test)]
#[path = "tests/cases/monitor.rs"]
mod tests;
