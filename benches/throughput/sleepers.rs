//! Sleeping orchestrations: their memory, and the time until a hub that contains many of them answers.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use abide::prelude::*;

use crate::child::Child;
use crate::hubs;
use crate::orchestrations::median;

/// The first argument of a child process; the second is the hub's directory.
pub(crate) const CHILD: &str = "child-with-sleepers";

/// Number of requests in flight while the child fills its hub.
pub(crate) const IN_FLIGHT: u64 = 1_024;

/// Longer than any run.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Sleeps until an event wakes it, or for a day. So each instance waits for both an event and a timer.
#[orchestration]
pub(crate) async fn sleeper(ctx: OrchestrationContext, number: u64) -> Result<u64, Failure> {
    let woken = ctx.wait_for_external_event::<u64>("wake").timeout(DAY).await?;
    Ok(number + woken.unwrap_or_default())
}

/// The measurements.
#[derive(Debug)]
pub(crate) struct Sleepers {
    /// The resident memory of an idle process that started all sleepers.
    pub(crate) rss_mib: f64,
    /// The part of it that each sleeper adds.
    pub(crate) bytes_each: f64,
    /// The time from calling `open`, after a clean close, until a woken sleeper completes.
    pub(crate) restart_ms: f64,
}

/// Fills a hub with `sleepers` and reopens it several times.
pub(crate) async fn measure(directory: &Path, sleepers: u64) -> Sleepers {
    let mut child = Child::start(CHILD, directory);
    child.wait_for("open");
    let before_mib = child.resident_mib();
    child.order(&sleepers.to_string());
    child.wait_for("filled");
    // Leaves time for the background work of the last starts.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rss_mib = child.resident_mib();
    child.close();

    let mut restart_ms = Vec::new();
    for number in [sleepers / 2, sleepers / 3, sleepers / 4] {
        let begin = Instant::now();
        let hub = hubs::open(directory).await;
        let run = hub.client().orchestration::<sleeper>(id(number));
        run.raise_event("wake", 1_u64).await.expect("the event is acknowledged");
        let woken = run.result().await.expect("the sleeper completes");
        restart_ms.push(begin.elapsed().as_secs_f64() * 1_000.0);
        assert_eq!(woken, number + 1);
        hub.shutdown().await.expect("the hub closes");
    }
    Sleepers {
        rss_mib,
        bytes_each: (rss_mib - before_mib) * f64::from(1 << 20) / sleepers as f64,
        restart_ms: median(restart_ms),
    }
}

fn id(number: u64) -> String {
    format!("sleeper-{number}")
}

/// The child process: opens the hub in `directory` and starts the ordered number of sleepers.
pub(crate) async fn child(directory: &Path) -> ExitCode {
    let hub = hubs::open(directory).await;
    println!("open");
    for order in std::io::stdin().lines() {
        let Ok(sleepers) = order.expect("the orders can be read").parse() else {
            break;
        };
        start_all(&hub.client(), sleepers).await;
        println!("filled");
    }
    hub.shutdown().await.expect("the hub closes");
    ExitCode::SUCCESS
}

/// Starts `sleepers` instances.
pub(crate) async fn start_all(client: &Client, sleepers: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..IN_FLIGHT {
        let client = client.clone();
        tasks.spawn(async move {
            for number in (caller..sleepers).step_by(IN_FLIGHT as usize) {
                let start = client.start::<sleeper>(number).instance_id(id(number));
                start.await.expect("the start is acknowledged");
            }
        });
    }
    tasks.join_all().await;
}
