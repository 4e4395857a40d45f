//! One million entities: what they cost in memory, and how soon a hub that holds them answers.
//!
//! The hub is filled by a child process.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use abide::prelude::*;

use crate::child::Child;
use crate::entities::{Counter, Request, counters, touch_all};
use crate::hubs;

pub(crate) const ENTITIES: u64 = 1_000_000;
pub(crate) const IN_FLIGHT: usize = 1_024;

/// How long to wait for the log to come to its limit. A child that is killed earlier is still killed with a long log.
const LOG_PATIENCE: Duration = Duration::from_secs(15);

/// Longer than any run.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The first argument of a child process; the second is the hub's directory.
pub(crate) const CHILD: &str = "child-with-a-million-entities";

/// What the parent measures.
#[derive(Debug)]
pub(crate) struct Million {
    /// The resident memory of an idle process that touched every entity.
    pub(crate) rss_mib: f64,
    pub(crate) open_clean_ms: f64,
    pub(crate) open_killed_ms: f64,
}

/// Fills a hub and measures it: at rest, after a clean close, and after a kill with a full log.
pub(crate) async fn measure(directory: &Path) -> Million {
    let mut child = Child::start(CHILD, directory);
    child.order("fill");
    child.wait_for("filled");
    // Whatever the last requests left to do in the background is done by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rss_mib = child.resident_mib();
    child.close();

    let mut clean_ms = Vec::new();
    for _ in 0..3 {
        let (ms, hub) = open_and_ask(directory).await;
        clean_ms.push(ms);
        hub.shutdown().await.expect("the hub closes");
    }
    clean_ms.sort_by(f64::total_cmp);

    kill_when_the_log_is_full(Child::start(CHILD, directory));
    let (open_killed_ms, hub) = open_and_ask(directory).await;
    hub.shutdown().await.expect("the hub closes");
    Million {
        rss_mib,
        open_clean_ms: clean_ms[1],
        open_killed_ms,
    }
}

/// The time from the call of `open` to the first answer.
async fn open_and_ask(directory: &Path) -> (f64, Hub) {
    let begin = Instant::now();
    let hub = hubs::open(directory).await;
    let total = hub.client().entity::<Counter>(ENTITIES / 2).total().await;
    assert!(total.expect("the call is answered") > 0, "the entity was there before");
    (begin.elapsed().as_secs_f64() * 1_000.0, hub)
}

/// Lets the child write, and kills it when the log that an open would have to read is as long as it gets.
///
/// That length rises until the store writes its memory to tables, and falls at once. So a fall shows how long it gets, and
/// the child is killed when it comes near that again. Peaks differ, since a slow flush lets the log grow on meanwhile; the
/// lowest one so far is the one that comes again.
fn kill_when_the_log_is_full(mut child: Child) {
    child.order("write");
    let deadline = Instant::now() + LOG_PATIENCE;
    let (mut lowest_peak, mut last) = (None, 0);
    let bytes = loop {
        let bytes: u64 = child.next_report().parse().expect("the child reports bytes");
        if bytes < last / 2 {
            lowest_peak = Some(lowest_peak.unwrap_or(u64::MAX).min(last));
        }
        let near_peak = lowest_peak.is_some_and(|peak| bytes >= peak / 10 * 9);
        if near_peak || Instant::now() >= deadline {
            break bytes;
        }
        last = bytes;
    };
    child.kill();
    let highest = lowest_peak.map_or("unknown".to_owned(), |peak| format!("{} MiB", peak >> 20));
    eprintln!(
        "  killed with {} MiB of log; its length before a flush is {highest}",
        bytes >> 20
    );
}

/// What the child does: opens the hub in `directory` and follows the orders of its parent.
pub(crate) async fn child(directory: &Path) -> ExitCode {
    let hub = hubs::open(directory).await;
    for order in std::io::stdin().lines() {
        match order.expect("the parent lives").as_str() {
            "fill" => {
                touch_all(&hub.client(), ENTITIES, IN_FLIGHT as u64).await;
                println!("filled");
            }
            "write" => write(&hub).await,
            _ => break,
        }
    }
    hub.shutdown().await.expect("the hub closes");
    ExitCode::SUCCESS
}

/// Writes to entities of the million until the parent kills this process, and reports how long the log is.
async fn write(hub: &Hub) {
    let client = hub.client();
    tokio::spawn(async move { counters(&client, Request::Signal, IN_FLIGHT, ENTITIES, Duration::ZERO, FOREVER).await });
    loop {
        println!("{}", hub.stats().wal_live_bytes);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
