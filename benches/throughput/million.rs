//! One million entities: their memory, and the time until a hub that contains them answers.
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

/// Maximum time to wait for the log to reach its limit. A child that is killed earlier still has a long log.
const LOG_PATIENCE: Duration = Duration::from_secs(15);

/// Longer than any run.
const FOREVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The first argument of a child process; the second is the hub's directory.
pub(crate) const CHILD: &str = "child-with-a-million-entities";

/// The measurements.
#[derive(Debug)]
pub(crate) struct Million {
    /// The resident memory of an idle process that touched every entity.
    pub(crate) rss_mib: f64,
    pub(crate) open_clean_ms: f64,
    pub(crate) open_killed_ms: f64,
}

/// Fills a hub and measures it when it is idle, after a clean close, and after a kill with a full log.
pub(crate) async fn measure(directory: &Path) -> Million {
    let mut child = Child::start(CHILD, directory);
    child.order("fill");
    child.wait_for("filled");
    // Leaves time for the background work of the last requests.
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

/// Returns the time in milliseconds from calling `open` to the first answer, and the hub.
async fn open_and_ask(directory: &Path) -> (f64, Hub) {
    let begin = Instant::now();
    let hub = hubs::open(directory).await;
    let total = hub.client().entity::<Counter>(ENTITIES / 2).total().await;
    assert!(total.expect("the call succeeds") > 0, "the entity has a state");
    (begin.elapsed().as_secs_f64() * 1_000.0, hub)
}

/// Lets the child write, and kills it when the log that opening would have to read is near its maximum length.
///
/// The log grows until the store flushes its memory to tables, and then shrinks at once. The length before the drop is
/// a peak, and the child is killed when the length comes near a peak again. Peaks differ, because the log grows further
/// during a slow flush. The lowest peak so far is the one that recurs.
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

/// The child process: opens the hub in `directory` and executes the orders of its parent.
pub(crate) async fn child(directory: &Path) -> ExitCode {
    let hub = hubs::open(directory).await;
    for order in std::io::stdin().lines() {
        match order.expect("the orders can be read").as_str() {
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

/// Writes to random entities and reports the length of the log until the parent kills this process.
async fn write(hub: &Hub) {
    let client = hub.client();
    tokio::spawn(async move { counters(&client, Request::Signal, IN_FLIGHT, ENTITIES, Duration::ZERO, FOREVER).await });
    loop {
        println!("{}", hub.stats().wal_live_bytes);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
